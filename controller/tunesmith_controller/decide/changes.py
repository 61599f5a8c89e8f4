"""Which changes of a Job or pod decide something, so that its request is looked at without delay. Pure."""

from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import complete, failed, failures, running, terminated, terminating

_State = tuple[object, ...]


def decides(before: Object | None, after: Object | None) -> bool:
    """Whether a change moves its request on: a Job ends or goes, a container starts or fails.

    Of a container that ends well, its Job tells a moment later.
    """
    if after is None:
        return True
    known = _state(before) if before is not None else (False, False, 0)
    return _state(after) != known


def _state(item: Object) -> _State:
    if item.get("kind") == "Job":
        return terminating(item), complete(item) or failed(item), failures(item)
    end = terminated(item)
    return terminating(item), running(item) or bool(end), end.get("exitCode") or 0
