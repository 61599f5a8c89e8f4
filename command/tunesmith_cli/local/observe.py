"""What this machine knows about a run: whether it is at work now, how far, and how it last ended."""

from dataclasses import dataclass

from tunesmith.events import Progress, Result
from tunesmith_cli.local import lock
from tunesmith_cli.local.events import Ended, Started, read_event
from tunesmith_cli.local.places import RunPlace


@dataclass(frozen=True)
class Seen:
    """`stage`: the one that was last at work; `progress`: its last; `ended`: how the last runner ended, if it did."""

    running: bool
    stage: str = ""
    progress: Progress | None = None
    ended: Ended | None = None


def observe(place: RunPlace) -> Seen:
    """Read lock and events of a run."""
    running = lock.holder(place.lock) is not None
    stage, progress, ended = "", None, None
    try:
        lines = place.events.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        match read_event(line):
            case Started(stage=name):
                stage, progress = name, None
            case Progress() as event:
                progress = event
            case Result():
                progress = None
            case Ended() as event:
                ended = event
            case _:
                pass
    return Seen(running, stage, progress, None if running else ended)
