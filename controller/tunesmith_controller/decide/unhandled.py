"""The status of a request on which the controller fails, because of a bug of its own.

It must not fail in the same way. So nothing of the request's spec is read, and of its old status each part by
itself: what was finished was paid for and must not be lost.
"""

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from tunesmith.status import Condition, ConditionType, FinishedStage, Outputs, StageStatus, Status
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import rfc3339

REASON = "InternalError"
_TEXTS = ("run", "store", "snapshot", "startTime", "loss")
_SAID: Mapping[ConditionType, Literal["True", "False", "Unknown"]] = {
    "Complete": "Unknown",
    "Failed": "True",
    "Reconciling": "False",
    "Stalled": "True",
}

Part = TypeVar("Part", bound=BaseModel)


def unhandled(request: Object, bug: str, now: datetime) -> Status:
    """Failed for the present generation, with what can be kept. `bug`: the id that stands in the log."""
    written = request.get("status")
    old: Mapping[str, Any] = written if isinstance(written, Mapping) else {}
    generation = request["metadata"].get("generation", 1)
    message = (
        f"the controller cannot handle this request, because of a bug in it; {bug} stands in its log beside "
        "the cause. Please report it with that part of the log. An edit of the request tries again, and so "
        "does a start of the controller"
    )
    texts = {name: old[name] for name in _TEXTS if isinstance(old.get(name), str)}
    conditions = {condition.type: condition for condition in _rows(Condition, old.get("conditions"))}
    for kind, holds in _SAID.items():
        known = conditions.pop(kind, None)  # to the end, where it always is
        since = known.last_transition_time if known is not None and known.status == holds else rfc3339(now)
        conditions[kind] = Condition(
            type=kind,
            status=holds,
            reason=REASON,
            message=message if holds == "True" else "",
            lastTransitionTime=since,
            observedGeneration=generation,
        )
    since = conditions["Failed"].last_transition_time
    return Status(
        observedGeneration=generation,
        phase="Failed",
        reason=REASON,
        message=message,
        completionTime=since,
        outputs=next(_rows(Outputs, [old.get("outputs")]), Outputs()),
        stages=tuple(_rows(StageStatus, old.get("stages"))),
        finished=tuple(_rows(FinishedStage, old.get("finished"))),
        conditions=tuple(conditions.values()),
        **texts,
    )


def _rows(model: type[Part], rows: object) -> Any:
    """Those of the rows that can be read, without what this release does not know."""
    names = {field.alias or name for name, field in model.model_fields.items()}
    for row in rows if isinstance(rows, list) else ():
        with contextlib.suppress(Exception):
            yield model.model_validate({name: row[name] for name in names & row.keys()})
