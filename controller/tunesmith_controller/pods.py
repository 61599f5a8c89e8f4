"""The Job of a stage. Pure: the snapshot and its profile in, one manifest out."""

from typing import Any

from tunesmith.settings import StageName
from tunesmith_controller.model import Object, SnapshotMap


def build_job(
    request: Object, stage: StageName, attempt: int, snapshot: SnapshotMap, *, teacher_rate: int = 0, base_bytes: int = 0, version: str
) -> dict[str, Any]:
    """The Job of an attempt. `base_bytes`: size of the base model once it is known, which the scratch volume is sized by."""
    raise NotImplementedError(request, stage, attempt, snapshot, teacher_rate, base_bytes, version)


def template_hash(job: Object) -> str:
    """Hash of a Job's pod template as it was built, kept in its annotation: to see that an edit concerns it."""
    raise NotImplementedError(job)


def gpus(job: Object) -> int:
    """How many GPUs the Job's pod asks for."""
    raise NotImplementedError(job)
