"""The runs of a store, asked through a session's pod: what tunesmith_cli.local.store.RunStore is for own credentials."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tunesmith.errors import BadData, BadRequest, Gone, Refused, TryAgain, TunesmithError, Usage
from tunesmith.manifest import Manifest
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith.wire import SNAPSHOT_FILE
from tunesmith_cli.cluster.tunnel import NoPortForward
from tunesmith_cli.local.events import Listener

Connect = Callable[[], http.client.HTTPConnection]
_CLASSES: Mapping[int, type[TunesmithError]] = {
    kind.exit_code: kind for kind in (Usage, BadData, Gone, TryAgain, Refused, BadRequest)
}
_DELAYS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between tries of what may be asked again
_ANSWER_SECONDS = 120.0
_BLOCK = 1 << 20


class RemoteRuns:
    """The runs of a store, as a session's pod sees them. `connect` opens a connection to it."""

    def __init__(self, url: str, connect: Connect, token: str) -> None:
        self.url = url
        self._connect = connect
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None
        self._seen: dict[str, dict[str, Any]] = {}

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
        found = [Manifest.model_validate(item) for item in self.contents(snapshot)["manifests"]]
        by_name = {manifest.stage: manifest for manifest in found}
        return {entry.name: by_name[entry.name] for entry in snapshot.stages if entry.name in by_name}

    def contents(self, snapshot: Snapshot) -> dict[str, Any]:
        """`manifests`, and `files` with part, path, source, size and sha256; asked once."""
        text = snapshot.to_json()
        if text not in self._seen:
            self._seen[text] = json.loads(self._ask("POST", "/run", {"snapshot": json.loads(text)}))
        return self._seen[text]

    def read(self, path: str) -> bytes:
        """An object. Raises Gone."""
        return self._ask("GET", f"/object?path={quote(path, safe='')}")

    def log(self, run: str, stage: str, key: str) -> str:
        """What a stage's attempts printed, as far as the store keeps it. Raises Gone."""
        arguments = ["log", "--run", run, "--stage", stage, "--key", key]
        return self._ask("POST", "/ask", {"arguments": arguments}).decode("utf-8", "replace")

    def delete(self, run: str) -> int:
        """Remove a run with all its results; how many objects."""
        return int(json.loads(self._ask("POST", "/ask", {"arguments": ["delete", "--run", run]}))["deleted"])

    def fetch(self, snapshot: Snapshot, to: Path, only: str, tell: Listener) -> Any:
        """Copy results to a folder, each file checked; what is there already is kept, and what is there in part goes on."""
        from tunesmith_cli.cluster.download import fetch

        return fetch(self, snapshot, to, only, tell)

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        """Bytes of an object from `start` on. Raises Gone, or an OSError where it breaks off."""
        with self._once(
            "GET", f"/object?path={quote(path, safe='')}", more={"Range": f"bytes={start}-"}
        ) as answer:
            left = int(answer.headers["Content-Length"])
            while left:
                block = answer.read(min(_BLOCK, left))
                if not block:
                    raise ConnectionResetError("the answer broke off")
                left -= len(block)
                yield block

    def infer(self, question: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Answers as they come: `out`, `err`, at last `exit`. Raises TryAgain if they end without it."""
        said: dict[str, Any] = {}
        broken: Exception | None = None
        try:
            with self._once("POST", "/infer", dict(question), seconds=None) as answer:
                while line := answer.readline():
                    said = json.loads(line)
                    yield said
        except (OSError, http.client.HTTPException, ValueError) as error:
            broken = error
        if "exit" not in said:
            why = f": {broken}" if broken else ""
            raise TryAgain(
                f"the session's pod ended before its answer did{why}",
                reason="SessionLost",
                remedy="run the same command again; if it was killed for its memory, give stages.evaluate.resources more",
            ) from broken

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        for delay in (*_DELAYS, None):
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
        """The open answer; not 2xx is raised as what the pod says."""
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
        raise _raised(answer.read())


class _Answer:
    """An answer in a `with` block; one that was not read to its end takes its connection along."""

    def __init__(self, runs: RemoteRuns, answer: http.client.HTTPResponse) -> None:
        self._runs = runs
        self._answer = answer

    def __enter__(self) -> http.client.HTTPResponse:
        return self._answer

    def __exit__(self, *_: object) -> None:
        if not self._answer.isclosed():
            self._runs.close()
        self._answer.close()


def _raised(body: bytes) -> TunesmithError:
    try:
        said = json.loads(body)
        kind = _CLASSES.get(said["exitCode"], TunesmithError)
        return kind(said["message"], reason=said["reason"], remedy=said["remedy"])
    except (ValueError, KeyError, TypeError):
        return TunesmithError(f"the session's pod said: {body[:300].decode('utf-8', 'replace')}")
