"""HTTP around the answers: the session's token, the paths, and ranges."""

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import tunesmith
from tunesmith.errors import BadRequest, ExitCode, Gone, TunesmithError
from tunesmith_jobs.failures import explained
from tunesmith_jobs.serve.answers import ask_runs, object_bytes, read_document, run_data
from tunesmith_jobs.serve.infer import infer
from tunesmith_jobs.storage import NotFound, Store

_LARGEST_QUESTION = 8 << 20  # bytes
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class SessionServer(ThreadingHTTPServer):
    """Serves a store to one session."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], store: Store, token_digest: str, work: str) -> None:
        super().__init__(address, _Handler)
        self.store = store
        self.work = work
        self._token_digest = token_digest
        self._lock = threading.Lock()
        self._busy = 0
        self._last_request = time.monotonic()

    def knows(self, header: str) -> bool:
        """Whether an Authorization header carries the session's token."""
        digest = hashlib.sha256(header.removeprefix("Bearer ").encode()).hexdigest()
        return header.startswith("Bearer ") and hmac.compare_digest(digest, self._token_digest)

    def idle_seconds(self) -> float:
        """Seconds since the last answer ended; 0 while there is one."""
        with self._lock:
            return 0.0 if self._busy else time.monotonic() - self._last_request

    def __enter__(self) -> Self:
        return self

    def count(self, change: int) -> None:
        """Count an answer that has begun (1) or ended (-1)."""
        with self._lock:
            self._busy += change
            self._last_request = time.monotonic()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SessionServer

    def do_GET(self) -> None:
        self._answer({"/ready": self._ready, "/object": self._object})

    def do_POST(self) -> None:
        self._answer({"/ask": self._ask, "/run": self._run, "/infer": self._infer})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: paths and times of a user's questions are private."""

    def _answer(self, paths: Mapping[str, Callable[[], None]]) -> None:
        self.server.count(1)
        self._began = False
        answer = paths.get(urlsplit(self.path).path)
        try:
            if not self.server.knows(self.headers.get("Authorization", "")):
                self.close_connection = True
                self._json(401, _failure(BadRequest("not this session's token", reason="Unauthorized")))
            elif answer is None:
                self.close_connection = True
                self._json(404, _failure(_nothing_at(self.path)))
            else:
                answer()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except NotFound as error:
            self._fail(404, Gone(f"{error.args[0]} is not there", reason="NotFound"))
        except Exception as error:  # noqa: BLE001 - the last resort: known errors have classes of their own
            self._fail(400, explained("serve", error)[0])
        finally:
            self.server.count(-1)

    def _fail(self, status: int, error: TunesmithError) -> None:
        if self._began:
            self.close_connection = True  # within a body there is no other way to tell
        else:
            self._json(status, _failure(error))

    def _ready(self) -> None:
        self._json(200, {"store": self.server.store.url, "tunesmith": tunesmith.__version__})

    def _ask(self) -> None:
        arguments = self._question().get("arguments")
        if not isinstance(arguments, list) or not all(isinstance(argument, str) for argument in arguments):
            raise BadRequest("`arguments` must be a list of strings")
        self._bytes(200, ask_runs(self.server.store.url, arguments), "application/octet-stream")

    def _run(self) -> None:
        self._json(200, run_data(self.server.store, read_document(self._question().get("snapshot"))))

    def _object(self) -> None:
        path = parse_qs(urlsplit(self.path).query).get("path", [""])[0]
        store = self.server.store
        size = store.size(path)
        if size is None:
            raise NotFound(f"{store.url}/{path}")
        start, end = _range(self.headers.get("Range", ""), size)
        self._began = True
        self.send_response(206 if self.headers.get("Range") else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - start))
        sent = f"{start}-{end - 1}" if end > start else "*"
        self.send_header("Content-Range", f"bytes {sent}/{size}")
        self.end_headers()
        for piece in object_bytes(store, path, start, end):
            self.wfile.write(piece)

    def _infer(self) -> None:
        question = self._question()
        snapshot = read_document(question.get("snapshot"))
        lines = infer(snapshot, self.server.store.url, self.server.work, question)
        self._began = True
        self.send_response(200)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunks(lines)

    def _chunks(self, lines: Iterable[Mapping[str, Any]]) -> None:
        # If the caller goes away, the iterator is closed with this frame, and its process ends.
        for line in lines:
            data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def _question(self) -> Mapping[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_QUESTION:
            self.close_connection = True
            raise BadRequest(f"a question may have {_LARGEST_QUESTION} bytes, not {length}")
        question = json.loads(self.rfile.read(length) or b"{}")
        if not isinstance(question, Mapping):
            raise BadRequest("a question must be a JSON object")
        return question

    def _json(self, status: int, document: Any) -> None:
        self._bytes(status, json.dumps(document, ensure_ascii=False).encode(), "application/json")

    def _bytes(self, status: int, data: bytes, kind: str) -> None:
        self._began = True
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _range(header: str, size: int) -> tuple[int, int]:
    """The first byte that a Range header asks for, and the one after the last; `size`: of the object."""
    if not header:
        return 0, size
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise BadRequest(f"a range must be bytes=first-last, not {header!r}")
    start = min(int(match[1]), size)
    end = min(int(match[2]) + 1, size) if match[2] else size
    return start, max(start, end)


def _nothing_at(path: str) -> BadRequest:
    return BadRequest(f"nothing is served at {path}", remedy="use the same release on both sides")


def _failure(error: TunesmithError) -> dict[str, Any]:
    message = "\n".join([error.message, *(f"  - {problem}" for problem in error.problems)])
    return {
        "exitCode": int(error.exit_code or ExitCode.BUG),
        "reason": error.reason,
        "message": message,
        "remedy": error.remedy,
    }
