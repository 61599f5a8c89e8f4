"""What training takes from its newest checkpoint: its course so far, and what was measured before it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tunesmith_jobs.train.history import Course

BEST = "best.safetensors"  # the best adapter so far, in the trainer's folder and in each checkpoint
NOTES = (
    "notes.json"  # what was measured before the first step, so that a resumed run need not measure it again
)
_LOSS_BEFORE = "testLossBefore"


def course_of(checkpoint: Path | None) -> Course:
    """How far a checkpoint is; without one, at the start."""
    if checkpoint is None:
        return Course(0, ())
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    return Course(state["global_step"], tuple(state["log_history"]))


def keep_extras(folder: Path, checkpoint: Path) -> None:
    """Put best adapter and notes, which lie in the trainer's folder, into a checkpoint of it."""
    _copy_extras(folder, checkpoint)


def restore_extras(folder: Path, checkpoint: Path) -> None:
    """Put best adapter and notes of a checkpoint into the trainer's folder."""
    _copy_extras(checkpoint, folder)


def _copy_extras(source: Path, target: Path) -> None:
    for name in (BEST, NOTES):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def loss_before(folder: Path, checkpoint: Path | None, measure: Callable[[], float]) -> float:
    """The test loss before the first step: measured once, and then read from the notes in the checkpoint."""
    notes = folder / NOTES
    if checkpoint is None or not notes.exists():
        notes.write_text(json.dumps({_LOSS_BEFORE: measure()}))
    return float(json.loads(notes.read_text())[_LOSS_BEFORE])
