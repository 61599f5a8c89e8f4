"""Faults of a network between a client and a real server, on loopback."""

import contextlib
import http.client
import http.server
import socket
import threading
from collections.abc import Iterator


class CuttingProxy:
    """Passes TCP on, and cuts connections when told to: the server has acted, but its answer is lost."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.seen: list[bytes] = []  # request lines
        self._cut: tuple[bytes, int] | None = None
        self._times = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, request: bytes, *, after: int = 0, times: int = 1) -> None:
        """Cut the next answers to requests that begin so, `after` bytes of them have passed."""
        self._cut, self._times = (request, after), times

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                connection = _Connection(self, client, server)
                threading.Thread(target=connection.upstream, daemon=True).start()
                threading.Thread(target=connection.downstream, daemon=True).start()

    def request(self, head: bytes) -> int | None:
        """Bytes of the answer to let through, or None for all."""
        line = head.split(b"\r\n", 1)[0]
        self.seen.append(line)
        if self._cut is not None and self._times and line.startswith(self._cut[0]):
            self._times -= 1
            return self._cut[1]
        return None


class _Connection:
    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.let_through: int | None = None

    def upstream(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.client.recv(1 << 16):
                if data.startswith((b"PUT ", b"GET ", b"POST ", b"HEAD ", b"DELETE ")):
                    self.let_through = self.proxy.request(data)
                self.server.sendall(data)
        self._close()

    def downstream(self) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := self.server.recv(1 << 16):
                if self.let_through is not None and not data.startswith(b"HTTP/1.1 100"):
                    data = data[: self.let_through - passed]
                    passed += len(data)
                    self.client.sendall(data)
                    if passed >= self.let_through:
                        break
                else:
                    self.client.sendall(data)
        self._close()

    def _close(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def cutting(endpoint: str) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(int(endpoint.rpartition(":")[2]))
    try:
        yield proxy
    finally:
        proxy.close()


@contextlib.contextmanager
def unconditional(endpoint: str, access_key: str, secret_key: str) -> Iterator[str]:
    """The address of a server that ignores If-None-Match, as older ones do.

    The header is left out, and the rest of the request signed again.
    """
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    host = endpoint.removeprefix("http://")
    kept = ("content-type", "x-amz-content-sha256", "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
            request = AWSRequest(self.command, endpoint + self.path, headers=headers, data=body)
            S3SigV4Auth(Credentials(access_key, secret_key), "s3", "us-east-1").add_auth(request)
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request(self.command, self.path, body, dict(request.headers.items()))
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "date",
                    "server",
                }:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class Relay:
    """Passes TCP on, whatever it is, and cuts all connections at once when told to: wherever they are."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Cuts every connection; returns how many there were."""
        with self._lock:
            ends = list(self._open)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return len(ends) // 2

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                with self._lock:
                    self._open |= {client, server}
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
