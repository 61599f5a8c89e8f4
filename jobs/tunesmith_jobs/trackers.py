"""Experiment trackers of `training.reportTo`: whether this environment has them, and what they leave. Pure, but for looking for modules.

The release's train image has tensorboard. A profile that allows another one (`allow.trackers`) says with it that its own train image
has that: on a cluster generate's image, where the preflight runs, cannot know.
"""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Tracker

TENSORBOARD: Tracker = "tensorboard"
_EVENTS = "runs"  # below the trainer's folder; transformers' choice


def check_trackers(wanted: Iterable[Tracker]) -> None:
    """Raises BadRequest (TrackerMissing) naming every tracker that cannot be imported here."""
    if problems := [_missing(name) for name in wanted if find_spec(name) is None]:
        raise BadRequest("an experiment tracker is missing", reason="TrackerMissing", problems=problems)


def _missing(name: Tracker) -> Problem:
    other = f", or use {TENSORBOARD}" if find_spec(TENSORBOARD) is not None else ""
    remedy = f"leave it out{other}; or install {name} where train runs (on a cluster: in a train image of your own)"
    return Problem("spec.training.reportTo", "is not installed where train runs", name, remedy)


def check_trackers_if_this_trains(wanted: Iterable[Tracker]) -> None:
    """The same, before anything is spent, if training would run in this environment too, as it does on one machine."""
    if find_spec("transformers") is not None:
        check_trackers(wanted)


def event_files(trainer_folder: Path) -> Iterator[tuple[str, Path]]:
    """Name in the run, and place, of each file that tensorboard has written."""
    for path in sorted((trainer_folder / _EVENTS).rglob("events.out.tfevents.*")):
        yield f"{TENSORBOARD}/{path.relative_to(trainer_folder / _EVENTS)}", path
