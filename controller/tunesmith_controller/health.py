"""`/metrics`, `/healthz` (the threads live) and `/readyz` (the caches are filled) on one port."""

import logging
import socket
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from tunesmith_controller.threads import BUG, Count, Lasting

log = logging.getLogger(__name__)

Check = Callable[[], list[str]]  # what is wrong; empty if nothing is


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler], count: Count) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), handler)
        self.thread = _Serving(self, count)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # `::` takes IPv4 too
        super().server_bind()

    def shutdown(self) -> None:
        """Ends the thread."""
        self.thread.stopped.set()
        super().shutdown()

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news; anything else is a bug."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("%s", BUG, exc_info=error)
            self.thread.count(self.thread.kind)


class _Serving(Lasting):
    """Answers probes and Prometheus."""

    def __init__(self, server: _Server, count: Count) -> None:
        super().__init__("health", count=count)
        self._server = server

    def step(self) -> None:
        """Serves until the server is shut down."""
        self.rest()
        self._server.serve_forever()


def parse_address(text: str) -> tuple[str, int]:
    """Host and port in `host:port`, `[host]:port` or `:port` (every address of the machine).

    Raises ValueError.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"{text!r} is not an address; write host:port or :port")
    return host.strip("[]"), int(port)


def serve(
    address: str,
    registry: CollectorRegistry,
    alive: Check,
    ready: Check,
    count: Count = lambda _kind: None,
) -> _Server:
    """Serves in a thread until `shutdown`. `:port` falls back to IPv4 where IPv6 is off."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        told = False  # whether an answer has begun

        def do_GET(self) -> None:
            try:
                self._look_up(self.path.partition("?")[0])
            except Exception:
                if self.told:  # it is the client that has gone, or nothing can be told any more
                    raise
                self._answer(500, b"a bug in the controller: its log has more\n", "text/plain; charset=utf-8")
                raise

        def _look_up(self, path: str) -> None:
            if path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif path in ("/healthz", "/readyz"):
                check = alive if path == "/healthz" else ready
                wrong = check()
                text = "\n".join(wrong) or "ok"
                self._answer(503 if wrong else 200, f"{text}\n".encode(), "text/plain; charset=utf-8")
            else:
                self._answer(404, b"/metrics, /healthz, /readyz\n", "text/plain; charset=utf-8")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.told = True
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
            """Nothing: a probe each ten seconds is not news."""

    host, port = parse_address(address)
    try:
        server = _Server(host or "::", port, Handler, count)
    except OSError:
        if host:
            raise
        server = _Server("0.0.0.0", port, Handler, count)  # noqa: S104 (probes and Prometheus come from outside the pod)
    server.thread.start()
    return server
