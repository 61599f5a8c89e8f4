"""Folders of this machine: the built-in store, and what the runner keeps of a run (XDG folders)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import Usage
from tunesmith.wire import STORE_FORMS

_RUN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def store_url(given: str | None, environ: Mapping[str, str]) -> str:
    """The URL of a store: the given URL or folder, else a folder in the user's data folder."""
    if not given:
        data = _xdg(environ, "XDG_DATA_HOME", ".local/share", "give --store")
        return (data / "tunesmith" / "runs").as_uri()
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", given)
    if scheme is None:
        return Path(given).expanduser().absolute().as_uri()
    if scheme[1] not in STORE_FORMS:
        raise Usage(f"a store is {', '.join(STORE_FORMS.values())} or a folder, not {given!r}")
    rest = given.removeprefix(scheme[0])
    if scheme[1] == "file" and (not rest.startswith("/") or not rest.strip("/")):
        raise Usage(f"the store {given!r} does not name an absolute folder")
    if not rest.strip("/"):
        raise Usage(f"the store {given!r} does not name a bucket")
    return given.rstrip("/")


@dataclass(frozen=True)
class RunFolder:
    """What this machine keeps of a run in a store: `lock`, `events.jsonl`, `logs/<stage>.log`, `work/`
    (scratch).
    """

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the process that runs the run."""
        return self.path / "lock"

    @property
    def events(self) -> Path:
        """What the latest `tunesmith run` of this run did, one JSON object per line."""
        return self.path / "events.jsonl"

    @property
    def work(self) -> Path:
        """Scratch of the stage that runs now."""
        return self.path / "work"

    def log(self, stage: str) -> Path:
        """What a stage's attempts on this machine printed."""
        return self.path / "logs" / f"{stage}.log"


def run_folder(store: str, run: str, environ: Mapping[str, str]) -> RunFolder:
    """Where this machine keeps its state of a run. Nothing in it is needed to continue the run elsewhere."""
    if not _RUN.fullmatch(run):
        raise Usage(
            f"{run!r} is not the name of a run",
            remedy="a run's name has lower-case letters, digits, dots and dashes, 63 at most",
        )
    state = _xdg(environ, "XDG_STATE_HOME", ".local/state", "set XDG_STATE_HOME")
    return RunFolder(state / "tunesmith" / hashlib.sha256(store.encode()).hexdigest()[:12] / run)


def _xdg(environ: Mapping[str, str], variable: str, below_home: str, otherwise: str) -> Path:
    named = environ.get(variable)
    if named and Path(named).is_absolute():
        return Path(named)
    home = environ.get("HOME", "")
    if not Path(home).is_absolute():
        raise Usage(
            f"neither {variable} nor HOME names a folder, so Tunesmith does not know where to keep its files",
            remedy=f"set HOME, or {otherwise}",
        )
    return Path(home) / below_home
