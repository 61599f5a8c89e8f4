"""Readiness by HTTP: `GET /healthz` answers 200 if the bucket can be used, else 503 and why not."""

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SECONDS = 2.0  # for an answer of S3
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Readiness:
    """Whether the server answers and its bucket is filled."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.filled = False

    def lacks(self) -> str:
        """What is missing; empty when nothing is."""
        if not self.filled:
            return "starting: the demo model is not in the bucket yet"
        try:
            with _DIRECT.open(f"http://127.0.0.1:{self._port}/healthz", timeout=_SECONDS):
                return ""
        except (urllib.error.URLError, OSError) as error:
            return f"S3 does not answer: {error}"


@contextlib.contextmanager
def answering(readiness: Readiness, port: int) -> Iterator[None]:
    """Answer on all addresses within the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            lacks = readiness.lacks() if self.path == "/healthz" else "only /healthz is here"
            body = f"{lacks or 'ready'}\n".encode()
            self.send_response((503 if lacks else 200) if self.path == "/healthz" else 404)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
            """Silent: a probe comes every few seconds."""

    server = ThreadingHTTPServer(("0.0.0.0", port), Handler)  # noqa: S104 - the kubelet asks from outside
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
