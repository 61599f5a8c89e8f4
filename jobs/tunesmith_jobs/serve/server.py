"""HTTP around the answers: who may ask, which path is what, and ranges."""

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import tunesmith
from tunesmith.errors import BadRequest, ExitCode, Gone, TunesmithError
from tunesmith_jobs.failures import explained
from tunesmith_jobs.serve import answers
from tunesmith_jobs.storage import NotFound, Store

_LARGEST_QUESTION = 8 << 20  # bytes
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class SessionServer(ThreadingHTTPServer):
    """A store for one session."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], store: Store, token_digest: str, work: str) -> None:
        super().__init__(address, _Handler)
        self.store = store
        self.work = work
        self._token_digest = token_digest
        self._lock = threading.Lock()
        self._busy = 0
        self._asked = time.monotonic()

    def knows(self, header: str) -> bool:
        """Whether an Authorization header carries the session's token."""
        digest = hashlib.sha256(header.removeprefix("Bearer ").encode()).hexdigest()
        return header.startswith("Bearer ") and hmac.compare_digest(digest, self._token_digest)

    def idle_seconds(self) -> float:
        """Since the last answer ended; 0 while one is under way."""
        with self._lock:
            return 0.0 if self._busy else time.monotonic() - self._asked

    def __enter__(self) -> Self:
        return self

    def working(self, change: int) -> None:
        """An answer began (1) or ended (-1)."""
        with self._lock:
            self._busy += change
            self._asked = time.monotonic()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SessionServer

    def do_GET(self) -> None:
        self._answered({"/ready": self._ready, "/object": self._object})

    def do_POST(self) -> None:
        self._answered({"/ask": self._ask, "/run": self._run, "/infer": self._infer})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: paths and times of a user's questions concern nobody."""

    def _answered(self, known: Mapping[str, Any]) -> None:
        self.server.working(1)
        self._began = False
        try:
            if not self.server.knows(self.headers.get("Authorization", "")):
                self.close_connection = True
                self._json(401, _failure(BadRequest("not this session's token", reason="Unauthorized")))
            elif (answer := known.get(urlsplit(self.path).path)) is None:
                self.close_connection = True
                self._json(
                    404,
                    _failure(
                        BadRequest(
                            f"nothing is served at {self.path}", remedy="use the same release on both sides"
                        )
                    ),
                )
            else:
                answer()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except NotFound as error:
            self._fail(404, Gone(f"{error.args[0]} is not there", reason="NotFound"))
        except Exception as error:  # noqa: BLE001 - the last resort: what is known has a class of its own
            self._fail(400, explained("serve", error)[0])
        finally:
            self.server.working(-1)

    def _fail(self, status: int, error: TunesmithError) -> None:
        if self._began:
            self.close_connection = True  # in the middle of a body nothing can be said but this
        else:
            self._json(status, _failure(error))

    def _ready(self) -> None:
        self._json(200, {"store": self.server.store.url, "tunesmith": tunesmith.__version__})

    def _ask(self) -> None:
        arguments = self._question().get("arguments")
        if not isinstance(arguments, list) or not all(isinstance(one, str) for one in arguments):
            raise BadRequest("`arguments` must be a list of strings")
        self._bytes(200, answers.ask(self.server.store.url, arguments), "application/octet-stream")

    def _run(self) -> None:
        self._json(200, answers.run(self.server.store, self._question().get("snapshot")))

    def _object(self) -> None:
        path = parse_qs(urlsplit(self.path).query).get("path", [""])[0]
        store = self.server.store
        size = store.size(path)
        if size is None:
            raise NotFound(f"{store.url}/{path}")
        start, end = _wanted(self.headers.get("Range", ""), size)
        self._began = True
        self.send_response(206 if self.headers.get("Range") else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - start))
        self.send_header(
            "Content-Range", f"bytes {start}-{end - 1}/{size}" if end > start else f"bytes */{size}"
        )
        self.end_headers()
        for piece in answers.pieces(store, path, start, end):
            self.wfile.write(piece)

    def _infer(self) -> None:
        lines = answers.infer(self.server.store.url, self.server.work, self._question())
        self._began = True
        self.send_response(200)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunks(lines)

    def _chunks(self, lines: Iterable[Mapping[str, Any]]) -> None:
        for line in lines:  # closed with this frame, and its process with it, should whoever asked be gone
            data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def _question(self) -> Mapping[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_QUESTION:
            self.close_connection = True
            raise BadRequest(f"a question has at most {_LARGEST_QUESTION} bytes, not {length}")
        found = json.loads(self.rfile.read(length) or b"{}")
        if not isinstance(found, Mapping):
            raise BadRequest("a question is a JSON object")
        return found

    def _json(self, status: int, document: Any) -> None:
        self._bytes(status, json.dumps(document, ensure_ascii=False).encode(), "application/json")

    def _bytes(self, status: int, data: bytes, kind: str) -> None:
        self._began = True
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _wanted(header: str, size: int) -> tuple[int, int]:
    """From where to where (exclusive) of an object."""
    if not header:
        return 0, size
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        raise BadRequest(f"a range is bytes=first-last, not {header!r}")
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    return min(start, size), max(min(start, size), end)


def _failure(error: TunesmithError) -> dict[str, Any]:
    message = "\n".join([error.message, *(f"  - {problem}" for problem in error.problems)])
    return {
        "exitCode": int(error.exit_code or ExitCode.BUG),
        "reason": error.reason,
        "message": message,
        "remedy": error.remedy,
    }
