"""The runs of a request's store: by the caller's S3 credentials if they open it, else through a pod."""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tunesmith import wire
from tunesmith.errors import TunesmithError
from tunesmith.manifest import Manifest
from tunesmith.resolve import Snapshot
from tunesmith_cli.cluster.api import Api
from tunesmith_cli.cluster.run_data import RunData
from tunesmith_cli.cluster.session import Say, session
from tunesmith_cli.local.processes import Toolbox
from tunesmith_cli.local.run_events import Listener
from tunesmith_cli.local.store import RunStore

_CREDENTIALS = (
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

    def source(self, snapshot: Snapshot) -> Any:
        """The own data that a run has read, and what has become of it."""

    def fetch(self, snapshot: Snapshot, to: Path, only: str, tell: Listener) -> Any:
        """Copy results to a folder."""


class DeletableRuns(Runs, Protocol):
    """Runs that can be removed."""

    def delete(self, run: str) -> int:
        """Remove a run; the number of objects."""

    def trouble(self) -> str:
        """Why they do not answer now; empty if they do. Asking now and then keeps a session alive."""


class OwnRuns(RunStore):
    """The runs of a store, opened with the caller's own credentials."""

    def delete(self, run: str) -> int:
        """Remove a run; the number of objects."""
        return int(self.ask_json("delete", "--run", run)["deleted"])

    def trouble(self) -> str:
        """Always empty: there is no session that could end."""
        return ""


@contextlib.contextmanager
def opened(
    api: Api, data: RunData, environ: Mapping[str, str], toolbox: Toolbox, say: Say, *, owned: bool = True
) -> Iterator[DeletableRuns]:
    """The runs of the request's store. `say` hears which way is taken, and what is waited for."""
    runs = own_runs(data, environ, toolbox, say)
    if runs is not None:
        yield runs
        return
    with session(api, data, "data", say, owned=owned) as remote:
        yield remote


def own_runs(data: RunData, environ: Mapping[str, str], toolbox: Toolbox, say: Say) -> OwnRuns | None:
    """The runs opened with the caller's own S3 credentials; None if those do not open this store."""
    if not data.store.startswith("s3://") or not any(environ.get(name) for name in _CREDENTIALS):
        return None
    if importlib.util.find_spec("boto3") is None:
        return None
    store = data.profile.store
    style = "" if store.addressing_style == "auto" else store.addressing_style
    known = {"AWS_REGION": store.region, "AWS_DEFAULT_REGION": store.region, wire.S3_ADDRESSING_STYLE: style}
    if not any(environ.get(name) for name in _ENDPOINTS):
        known["AWS_ENDPOINT_URL_S3"] = store.endpoint
    env = {name: value for name, value in known.items() if value} | dict(environ)
    runs = OwnRuns(data.store, env, toolbox)
    try:
        runs.manifests(data.snapshot)
    except TunesmithError as error:
        say(f"your own S3 credentials do not open {data.store} ({error.message}); asking through a pod")
        return None
    return runs
