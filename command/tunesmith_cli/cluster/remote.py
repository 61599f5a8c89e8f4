"""The runs of a store, asked through a session's pod; local/store.py asks with the caller's credentials."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError

from tunesmith.errors import Gone, TryAgain, TunesmithError, error_class
from tunesmith.manifest import Manifest, inner_path
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith.stages import PartName
from tunesmith.wire import SNAPSHOT_FILE
from tunesmith_cli.cluster.tunnel import NoPortForward
from tunesmith_cli.local.run_events import Listener
from tunesmith_cli.local.store import source_question
from tunesmith_cli.manifests import read_manifests, unreadable

Connect = Callable[[], http.client.HTTPConnection]
DELAYS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between tries of a question that may be asked again
_ANSWER_SECONDS = 120.0
_BLOCK = 1 << 20


class RemoteRuns:
    """The runs of a store, as a session's pod sees them.

    `connect` opens a connection to it; `delays`: seconds between tries of a question that may be asked again.
    """

    def __init__(self, url: str, connect: Connect, token: str, delays: Sequence[float] = DELAYS) -> None:
        self.url = url
        self._connect = connect
        self._delays = delays
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None
        self._contents: dict[str, dict[str, Any]] = {}  # by the snapshot, as JSON

    def trouble(self) -> str:
        """Why it does not answer; empty if it does."""
        try:
            with self._once("GET", "/ready", seconds=10) as answer:
                answer.read()
            return ""
        except (TryAgain, OSError, http.client.HTTPException) as error:
            self.close()
            return str(error) or type(error).__name__

    def snapshot(self, run: str) -> Snapshot | None:
        """What the run was last asked to do, as the store has it."""
        try:
            return read_snapshot(self.read(f"{run}/{SNAPSHOT_FILE}").decode())
        except Gone:
            return None

    def manifests(self, snapshot: Snapshot) -> dict[str, Manifest]:
        """The finished stages among those of the snapshot."""
        by_name = {
            manifest.stage: manifest for manifest in read_manifests(self.contents(snapshot)["manifests"])
        }
        return {entry.name: by_name[entry.name] for entry in snapshot.stages if entry.name in by_name}

    def contents(self, snapshot: Snapshot) -> dict[str, Any]:
        """`manifests`, and `files` with part, path, source, size and sha256; asked once."""
        text = snapshot.to_json()
        if text not in self._contents:
            contents = json.loads(self.ask("POST", "/run", {"snapshot": json.loads(text)}))
            contents["files"] = _checked_files(contents["files"])
            self._contents[text] = contents
        return self._contents[text]

    def read(self, path: str) -> bytes:
        """An object. Raises Gone."""
        return self.ask("GET", f"/object?path={quote(path, safe='')}")

    def log(self, run: str, stage: str, key: str) -> str:
        """What a stage's attempts printed, as far as the store keeps it. Raises Gone."""
        arguments = ["log", "--run", run, "--stage", stage, "--key", key]
        return self.ask("POST", "/ask", {"arguments": arguments}).decode("utf-8", "replace")

    def source(self, snapshot: Snapshot) -> Any:
        """The own data that the run has read, and what has become of it; None for none."""
        return json.loads(self.ask("POST", "/ask", {"arguments": source_question(snapshot)}))

    def delete(self, run: str) -> int:
        """Remove a run with all its results; the number of objects."""
        answer = self.ask("POST", "/ask", {"arguments": ["delete", "--run", run]})
        return int(json.loads(answer)["deleted"])

    def fetch(self, snapshot: Snapshot, to: Path, only: str, tell: Listener) -> Any:
        """Copy results to a folder, each file checked.

        A file that is there already is kept, and one that is there in part is resumed.
        """
        from tunesmith_cli.cluster.download import fetch

        return fetch(self, snapshot, to, only, tell)

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        """Bytes of an object from `start` on. Raises Gone, or an OSError where it breaks off."""
        question = f"/object?path={quote(path, safe='')}"
        with self._once("GET", question, more={"Range": f"bytes={start}-"}) as answer:
            left = int(answer.headers["Content-Length"])
            while left:
                block = answer.read(min(_BLOCK, left))
                if not block:
                    raise ConnectionResetError("the answer broke off")
                left -= len(block)
                yield block

    def infer(self, question: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Answers as they come: `out`, `err`, at last `exit`. Raises TryAgain if they end without it."""
        last: dict[str, Any] = {}
        broken: Exception | None = None
        try:
            with self._once("POST", "/infer", dict(question), seconds=None) as answer:
                while line := answer.readline():
                    last = json.loads(line)
                    yield last
        except (OSError, http.client.HTTPException, ValueError) as error:
            broken = error
        if "exit" not in last:
            why = f": {broken}" if broken else ""
            raise TryAgain(
                f"the session's pod ended before its answer did{why}",
                reason="SessionLost",
                remedy="run the same command again; if it ran out of memory, raise stages.evaluate.resources",
            ) from broken

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """The whole answer to a question that may be asked again."""
        for delay in (*self._delays, None):
            try:
                with self._once(method, path, body) as answer:
                    return answer.read()
            except (OSError, http.client.HTTPException, NoPortForward) as error:
                self.close()
                if delay is None:
                    raise TryAgain(
                        f"the connection to the session's pod broke off: {error}", reason="SessionLost"
                    ) from error
                time.sleep(delay)
        raise AssertionError

    def _once(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        more: Mapping[str, str] | None = None,
        seconds: float | None = _ANSWER_SECONDS,
    ) -> "_Answer":
        """The open answer. Raises the pod's error if it is not 2xx."""
        if self._connection is None:
            self._connection = self._connect()
            self._connection.connect()
        connection = self._connection
        connection.sock.settimeout(seconds)
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        connection.request(method, path, body=data, headers={**self._headers, **(more or {})})
        answer = connection.getresponse()
        if 200 <= answer.status < 300:
            return _Answer(self, answer)
        raise _error(answer.read())


class _PartFile(BaseModel):
    """A file of a part, as the pod names it: where it goes here, and where it is in the store."""

    part: PartName
    path: Annotated[str, AfterValidator(inner_path)]
    source: Annotated[str, AfterValidator(inner_path)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _checked_files(files: Any) -> list[dict[str, Any]]:
    """The files, if all of them belong below the folder that they are copied to. Raises Gone."""
    try:
        return [file.model_dump() for file in _FILES.validate_python(files)]
    except ValidationError as error:
        raise unreadable("a file of the run", error) from error


_FILES: TypeAdapter[list[_PartFile]] = TypeAdapter(list[_PartFile])


class _Answer:
    """An answer in a `with` block; if it was not read to its end, its connection is closed, too."""

    def __init__(self, runs: RemoteRuns, answer: http.client.HTTPResponse) -> None:
        self._runs = runs
        self._answer = answer

    def __enter__(self) -> http.client.HTTPResponse:
        return self._answer

    def __exit__(self, *_: object) -> None:
        if not self._answer.isclosed():
            self._runs.close()
        self._answer.close()


def _error(body: bytes) -> TunesmithError:
    """The pod's error."""
    try:
        error = json.loads(body)
        kind = error_class(error["exitCode"])
        return kind(error["message"], reason=error["reason"], remedy=error["remedy"])
    except (ValueError, KeyError, TypeError):
        return TunesmithError(f"the session's pod answered: {body[:300].decode('utf-8', 'replace')}")
