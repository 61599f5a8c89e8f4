"""An API server of written answers: for what a real one does too seldom to be tested with, such as a broken
answer or a pause.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml


@dataclass(frozen=True)
class Raw:
    """Bytes as they are.

    `missing`: how many more the header promises; `silence`: seconds without a byte before the end.
    """

    data: bytes = b""
    code: int = 200
    missing: int = 0
    silence: float = 0.0


Answer = Any  # an object; the code of a refusal; Raw; or a function of the query that gives one of them


class ScriptedApi:
    """`answers`: path -> an answer, or a list of them, each given once and the last for ever.

    `asked`: (moment, method, path, query).
    """

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[float, str, str, dict[str, str]]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.kubeconfig = folder / "scripted-kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(config(self.url)))

    def answer(self, method: str, path: str, query: dict[str, str]) -> Answer:
        self.asked.append((time.monotonic(), method, path, query))
        answer = self.answers.get(f"{method} {path}", self.answers.get(path, 404))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return answer(query) if isinstance(answer, Callable) else answer

    def times(self, path: str, **query: str) -> int:
        """How often something was asked."""
        return sum(asked == path and query.items() <= given.items() for _, _, asked, given in self.asked)


def config(server: str, current: str | None = "main") -> dict[str, Any]:
    """A kubeconfig with the contexts `main` (namespace team) and `other`."""
    contexts = [
        {"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
        {"name": "other", "context": {"cluster": "c", "user": "u", "namespace": "elsewhere"}},
    ]
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": server}}],
    }
    return (
        kubeconfig
        | {"users": [{"name": "u", "user": {}}]}
        | ({} if current is None else {"current-context": current})
    )


@contextlib.contextmanager
def scripted_api(folder: Path) -> Iterator[ScriptedApi]:
    api = ScriptedApi(folder)
    thread = threading.Thread(target=api.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.server.shutdown()
        api.server.server_close()


def _handler(api: ScriptedApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):  # any method
                return self._answer
            raise AttributeError(name)

        def _answer(self) -> None:
            where = urlsplit(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = api.answer(self.command, where.path, dict(parse_qsl(where.query)))
            if isinstance(answer, int):
                answer = Raw(
                    json.dumps({"kind": "Status", "code": answer, "message": f"scripted {answer}"}).encode(),
                    answer,
                )
            if isinstance(answer, Mapping):
                answer = Raw(json.dumps(answer).encode())
            self.send_response(answer.code)
            if not answer.silence:
                self.send_header("Content-Length", str(len(answer.data) + answer.missing))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer.data)
                self.wfile.flush()
                time.sleep(answer.silence)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    return Handler
