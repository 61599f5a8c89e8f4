"""The data of a request's run: with the caller's own S3 credentials where they open the store, else through a session's pod."""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tunesmith import wire
from tunesmith.errors import Gone, TunesmithError
from tunesmith.manifest import Manifest
from tunesmith.resolve import Snapshot
from tunesmith_cli.cluster.api import Api, absent
from tunesmith_cli.cluster.lenient import frozen
from tunesmith_cli.cluster.requests import status_of
from tunesmith_cli.cluster.session import RunData, Say, session
from tunesmith_cli.local.events import Listener
from tunesmith_cli.local.processes import Toolbox
from tunesmith_cli.local.store import RunStore

_OWN = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


class Runs(Protocol):
    """The runs of a store, however they are reached."""

    @property
    def url(self) -> str:
        """The store."""

    def snapshot(self, run: str) -> Snapshot | None:
        """What a run was last asked to do."""

    def manifests(self, snapshot: Snapshot) -> dict[str, Manifest]:
        """The finished stages."""

    def read(self, path: str) -> bytes:
        """An object."""

    def log(self, run: str, stage: str, key: str) -> str:
        """What a stage's attempts printed."""

    def fetch(self, snapshot: Snapshot, to: Path, only: str, tell: Listener) -> Any:
        """Copy results to a folder."""


class DeletableRuns(Runs, Protocol):
    """Runs that can be removed."""

    def delete(self, run: str) -> int:
        """Remove a run; how many objects."""

    def trouble(self) -> str:
        """Why they do not answer now; empty if they do. Asked now and then, it keeps a session."""


class OwnRuns(RunStore):
    """The runs of a store, by own credentials."""

    def delete(self, run: str) -> int:
        """Remove a run; how many objects."""
        return int(self._json("delete", "--run", run)["deleted"])

    def trouble(self) -> str:
        """None: there is no session that could end."""
        return ""


def run_data(api: Api, request: Mapping[str, Any]) -> RunData:
    """Snapshot and profile of a request, as they were frozen. Raises Gone while there are none."""
    metadata, status = request["metadata"], status_of(request)
    if not status.snapshot:
        why = f": {status.message}" if status.message else ""
        raise Gone(
            f"{metadata['name']} has no run yet{why}",
            reason="NoRun",
            remedy="`status -w` shows when it starts",
        )
    try:
        found = api.get(f"/api/v1/namespaces/{metadata['namespace']}/configmaps/{status.snapshot}")
    except Gone as error:
        if not absent(error):
            raise
        raise Gone(
            f"the snapshot {status.snapshot} of {metadata['name']} is gone",
            reason="NoSnapshot",
            remedy="edit or retry it",
        ) from error
    snapshot, profile = frozen(found.get("data") or {}, metadata["name"])
    return RunData(request, snapshot, profile, status.store)


@contextlib.contextmanager
def opened(
    api: Api, data: RunData, environ: Mapping[str, str], toolbox: Toolbox, say: Say, *, owned: bool = True
) -> Iterator[DeletableRuns]:
    """The runs of the request's store. `say` hears which way is taken, and what is waited for."""
    own = own_runs(data, environ, toolbox, say)
    if own is not None:
        yield own
        return
    with session(api, data, "data", say, owned=owned) as runs:
        yield runs


def own_runs(data: RunData, environ: Mapping[str, str], toolbox: Toolbox, say: Say) -> OwnRuns | None:
    """The runs by the caller's own S3 credentials; None if there are none, or if they do not open this store."""
    if (
        not data.store.startswith("s3://")
        or not any(environ.get(name) for name in _OWN)
        or importlib.util.find_spec("boto3") is None
    ):
        return None
    store = data.profile.store
    style = "" if store.addressing_style == "auto" else store.addressing_style
    known = {"AWS_REGION": store.region, "AWS_DEFAULT_REGION": store.region, wire.S3_ADDRESSING_STYLE: style}
    if not any(environ.get(name) for name in _ENDPOINTS):
        known["AWS_ENDPOINT_URL_S3"] = store.endpoint
    runs = OwnRuns(
        data.store, {name: value for name, value in known.items() if value} | dict(environ), toolbox
    )
    try:
        runs.manifests(data.snapshot)
    except TunesmithError as error:
        say(f"your own S3 credentials do not open {data.store} ({error.message}); asking through a pod")
        return None
    return runs
