"""What this machine knows about a run: whether it is running, how far it is, and how it last ended."""

from dataclasses import dataclass

from tunesmith.events import Progress, Result
from tunesmith_cli.local import lock
from tunesmith_cli.local.folders import RunFolder
from tunesmith_cli.local.run_events import Ended, Started, read_event


@dataclass(frozen=True)
class Observed:
    """`stage`: the latest one; `progress`: its latest; `ended`: how the last runner ended, if it did."""

    running: bool
    stage: str = ""
    progress: Progress | None = None
    ended: Ended | None = None


def observe(folder: RunFolder) -> Observed:
    """Read lock and events of a run."""
    running = lock.holder(folder.lock) is not None
    stage = ""
    progress: Progress | None = None
    ended: Ended | None = None
    try:
        lines = folder.events.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        match read_event(line):
            case Started(stage=name):
                stage = name
                progress = None
            case Progress() as event:
                progress = event
            case Result():
                progress = None
            case Ended() as event:
                ended = event
            case _:
                pass
    return Observed(running, stage, progress, None if running else ended)
