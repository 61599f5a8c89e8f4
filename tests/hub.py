"""A loopback hub: a real HTTP server with the part of the hub's API that its client reads models and datasets
by.

As on the real hub, a gated model's list of files is open to all but its files are not; a private model looks
missing; large files (safetensors, gguf) lie on another host, which never gets the token; a revision is a
branch or a commit.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_member"  # may read everything
STRANGER = "hf_stranger"  # a good token without access to gated or private models
_LARGE = (".safetensors", ".gguf", ".parquet")
_DATASETS = "datasets/"  # how names of datasets begin in `repos`, and their paths on the hub


@dataclass
class Repo:
    """`commits`: files by commit; `refs`: commit by branch."""

    gated: bool = False
    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)


class Hub:
    """The server's models, the faults that it makes, and the requests that it got."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.cuts: dict[str, int] = {}  # file name -> how many more answers break off half way
        self.failures: list[int] = []  # statuses of the next answers
        # Method, path, headers (names in lower case).
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []
        self.url = ""
        self.cdn = ""

    def push(
        self,
        name: str,
        files: Path | Mapping[str, bytes],
        *,
        gated: bool = False,
        private: bool = False,
        branch: str = "main",
    ) -> str:
        """A new commit on a branch; the branch moves to it. Returns the commit.

        `name`: `org/name` of a model, `datasets/org/name` of a dataset.
        """
        if isinstance(files, Path):
            files = {
                path.relative_to(files).as_posix(): path.read_bytes()
                for path in files.rglob("*")
                if path.is_file()
            }
        repo = self.repos.setdefault(name, Repo(gated, private))
        commit = hashlib.sha1(
            repr(sorted(files.items())).encode() + str(len(repo.commits)).encode()
        ).hexdigest()
        repo.commits[commit] = dict(files)
        repo.refs[branch] = commit
        return commit

    def bytes_sent(self, name: str) -> list[str]:
        """The ranges asked of a file's content, in order: `` for all of it."""
        return [
            headers.get("range", "")
            for method, path, headers in self.requests
            if method == "GET" and path.endswith(name)
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(
            (self.command, path, {key.lower(): value for key, value in self.headers.items()})
        )
        if self.hub.failures:
            self._send(self.hub.failures.pop(0))
            return
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in ("", TOKEN, STRANGER):
            self._send(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
            return
        parts = path.strip("/").split("/")
        if parts[:2] in (["api", "models"], ["api", "datasets"]):
            revision = "/".join(parts[5:]) if parts[4:5] == ["revision"] else "main"
            self._info(_DATASETS * (parts[1] == "datasets") + "/".join(parts[2:4]), revision, token)
            return
        if parts[0] == "cdn":
            at = 3 if parts[1] == "datasets" else 2
            name, commit, file = "/".join(parts[1 : at + 1]), parts[at + 1], "/".join(parts[at + 2 :])
            self._content(self.hub.repos[name].commits[commit][file], parts[-1])
            return
        at = 3 if parts[0] == "datasets" else 2
        if parts[at : at + 1] == ["resolve"]:
            self._resolve("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :]), token)
            return
        self._send(404)
        return

    def _find(self, name: str, revision: str, token: str) -> tuple[Repo, str] | None:
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and token != TOKEN):
            self._send(404 if token else 401, {"X-Error-Code": "RepoNotFound"})
            return None
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
            return None
        return repo, commit

    def _info(self, name: str, revision: str, token: str) -> None:
        match = self._find(name, revision, token)
        if match is None:
            return
        repo, commit = match
        files = [
            {"rfilename": file, "size": len(data), "blobId": _etag(data)}
            for file, data in sorted(repo.commits[commit].items())
        ]
        info = {
            "id": name.removeprefix(_DATASETS),
            "modelId": name,
            "sha": commit,
            "private": repo.private,
            "gated": "manual" if repo.gated else False,
            "tags": [],
        }
        body = json.dumps({**info, "downloads": 0, "likes": 0, "siblings": files}).encode()
        self._send(200, {"Content-Type": "application/json"}, body)

    def _resolve(self, name: str, revision: str, file: str, token: str) -> None:
        match = self._find(name, revision, token)
        if match is None:
            return
        repo, commit = match
        if repo.gated and token != TOKEN:
            self._send(
                403 if token else 401,
                {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted"},
            )
            return
        data = repo.commits[commit].get(file)
        about = {"X-Repo-Commit": commit}
        if data is None:
            self._send(404, about | {"X-Error-Code": "EntryNotFound"})
            return
        if not file.endswith(_LARGE):
            self._content(data, file, about)
            return
        linked = {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{_etag(data)}"'}
        self._send(302, about | linked | {"Location": f"{self.hub.cdn}/cdn/{name}/{commit}/{file}"})

    def _content(self, data: bytes, name: str, headers: Mapping[str, str] | None = None) -> None:
        headers = {"ETag": f'"{_etag(data)}"', "Accept-Ranges": "bytes", **(headers or {})}
        wanted = self.headers.get("Range", "")
        if not wanted:
            self._send(200, headers, data, name)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        self._send(
            206,
            headers | {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"},
            part,
            name,
        )

    def _send(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"", name: str = ""
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cuts.get(name, 0) > 0:
            self.hub.cuts[name] -= 1
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(body)


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub with a cache of its own, which the client uses; stages do by their environment."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.cdn = f"http://localhost:{server.server_port}"
    cache = tmp_path / "hf-home"
    for name, value in {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    from huggingface_hub import close_session, constants

    # The client reads the environment once, at its import, which another test may have caused.
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    yield hub
    close_session()
    server.shutdown()
    server.server_close()
