"""A small HTTP server that plays an API server: a test says what it answers and reads what it was asked."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kubernetes import client

from tunesmith_controller.api import Api
from tunesmith_controller.rate import TokenBucket


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    at: float
    headers: dict[str, str]


class Answer:
    """What a test may do with a request."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def json(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.raw(json.dumps(body).encode(), status, headers)

    def raw(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """What no JSON library would write."""
        self._handler.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._handler.wfile.write(data)

    def text(self, text: str) -> None:
        data = text.encode()
        self._handler.send_response(200)
        self._handler.send_header("Content-Length", str(len(data)))
        self._handler.end_headers()
        self._handler.wfile.write(data)

    def refuse(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        self.json(
            {
                "kind": "Status",
                "status": "Failure",
                "code": status,
                "reason": reason,
                "message": f"it is {reason}",
            },
            status,
            headers,
        )

    def begin(self) -> None:
        """Headers of a watch."""
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "application/json")
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()
        self._handler.wfile.flush()

    def chunk(self, data: bytes) -> None:
        self._handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self._handler.wfile.flush()

    def event(self, kind: str, item: dict[str, Any]) -> None:
        self.chunk(json.dumps({"type": kind, "object": item}).encode() + b"\n")

    def end(self) -> None:
        self._handler.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Breaks the connection in the middle."""
        self._handler.close_connection = True


Play = Callable[[Asked, Answer], None]


@dataclass
class PlayedServer:
    """`play` answers each request; `asked` has them all."""

    play: Play
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    quit: threading.Event = field(default_factory=threading.Event)

    def api(self, **settings: Any) -> Api:
        configuration = client.Configuration(host=self.url)
        configuration.retries = False
        return Api(
            client.ApiClient(configuration), settings.pop("bucket", TokenBucket(10_000, 10_000)), **settings
        )

    def count(self, **query: str) -> int:
        return sum(all(call.query.get(name) == value for name, value in query.items()) for call in self.asked)


@contextlib.contextmanager
def playing(play: Play) -> Iterator[PlayedServer]:
    server = PlayedServer(play)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = dict(parse_qsl(parts.query))
            asked = Asked(self.command, parts.path, query, body, time.monotonic(), dict(self.headers))
            server.asked.append(asked)
            with contextlib.suppress(OSError):
                server.play(asked, Answer(self))

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (their names in the base class)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A client that goes away is part of the play."""

    http = Server(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.quit.set()
        http.shutdown()
        http.server_close()


def until(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Waits for something to hold, and returns it; fails with what it last was."""
    deadline = time.monotonic() + seconds
    while not (last := holds()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: {last!r}"
        time.sleep(0.02)
    return last
