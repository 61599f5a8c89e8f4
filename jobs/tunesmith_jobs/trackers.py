"""Experiment trackers of `training.reportTo`: whether they are installed here, and which files they leave.

The release's train image has tensorboard. A profile that allows another tracker (`allow.trackers`) states
that its own train image has it: on a cluster the preflight runs in generate's image, which cannot know.
"""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from tunesmith.errors import BadRequest, Problem
from tunesmith.trackers import TRACKERS, TrackerName

_TENSORBOARD = TRACKERS["tensorboard"]
_EVENTS = "runs"  # below the trainer's folder; transformers' choice


def check_trackers(wanted: Iterable[TrackerName]) -> None:
    """Raise BadRequest (TrackerMissing) that names every tracker that cannot be imported here."""
    problems = [_missing(name) for name in wanted if find_spec(TRACKERS[name].module) is None]
    if problems:
        raise BadRequest("an experiment tracker is missing", reason="TrackerMissing", problems=problems)


def _missing(name: TrackerName) -> Problem:
    other = f", or use {_TENSORBOARD.name}" if find_spec(_TENSORBOARD.module) is not None else ""
    remedy = (
        f"leave it out{other}; or install {name} where train runs "
        "(on a cluster: in a train image of your own)"
    )
    return Problem("spec.training.reportTo", "is not installed where train runs", name, remedy)


def check_trackers_if_this_trains(wanted: Iterable[TrackerName]) -> None:
    """Check before anything is spent, if train would run here too, as it does on one machine."""
    if find_spec("transformers") is not None:
        check_trackers(wanted)


def event_files(trainer_folder: Path) -> Iterator[tuple[str, Path]]:
    """Each file that tensorboard has written: its name in the run, and where it is."""
    for path in sorted((trainer_folder / _EVENTS).rglob("events.out.tfevents.*")):
        yield f"{_TENSORBOARD.name}/{path.relative_to(trainer_folder / _EVENTS)}", path
