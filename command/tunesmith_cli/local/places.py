"""Where things are on this machine: the store, and beside it locks, logs and scratch (XDG folders)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import Usage

_RUN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def store_url(given: str | None, environ: Mapping[str, str]) -> str:
    """The store: as given (`s3://bucket/prefix`, `file:///folder`, or a folder), else the user's own data folder."""
    if not given:
        return (
            _xdg(environ, "XDG_DATA_HOME", ".local/share", "give --store") / "tunesmith" / "runs"
        ).as_uri()
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", given)
    if scheme is None:
        return Path(given).expanduser().absolute().as_uri()
    if scheme[1] not in ("s3", "file"):
        raise Usage(f"a store is s3://bucket/prefix, file:///folder or a folder, not {given!r}")
    rest = given.removeprefix(scheme[0])
    if (scheme[1] == "file" and not rest.startswith("/")) or not rest.strip("/"):
        raise Usage(f"the store {given!r} names no {'bucket' if scheme[1] == 's3' else 'absolute folder'}")
    return given.rstrip("/")


@dataclass(frozen=True)
class RunPlace:
    """The local folder of a run in a store: `lock`, `events.jsonl`, `logs/<stage>.log`, `work/` (scratch)."""

    folder: Path

    @property
    def lock(self) -> Path:
        """Held by the process that runs the run."""
        return self.folder / "lock"

    @property
    def events(self) -> Path:
        """What the latest `tunesmith run` of this run did, one JSON object per line."""
        return self.folder / "events.jsonl"

    @property
    def work(self) -> Path:
        """Scratch of the stage that runs now."""
        return self.folder / "work"

    def log(self, stage: str) -> Path:
        """What a stage's attempts on this machine printed."""
        return self.folder / "logs" / f"{stage}.log"


def run_place(store: str, run: str, environ: Mapping[str, str]) -> RunPlace:
    """Where this machine keeps its state of a run. Nothing in it is needed to go on elsewhere."""
    if not _RUN.fullmatch(run):
        raise Usage(
            f"{run!r} is no name of a run",
            remedy="a run's name has lower-case letters, digits, dots and dashes, 63 at most",
        )
    state = _xdg(environ, "XDG_STATE_HOME", ".local/state", "set XDG_STATE_HOME")
    return RunPlace(state / "tunesmith" / hashlib.sha256(store.encode()).hexdigest()[:12] / run)


def _xdg(environ: Mapping[str, str], variable: str, below_home: str, otherwise: str) -> Path:
    if (named := environ.get(variable)) and Path(named).is_absolute():
        return Path(named)
    home = environ.get("HOME", "")
    if not Path(home).is_absolute():
        raise Usage(
            f"neither {variable} nor HOME names a folder, so there is no place for this",
            remedy=f"set HOME, or {otherwise}",
        )
    return Path(home) / below_home
