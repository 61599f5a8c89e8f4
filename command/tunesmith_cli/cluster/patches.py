"""The acts on a request (suspend, resume, retry, rerun): patches of its spec, and when they make no sense.
Pure.
"""

import json
from collections.abc import Mapping
from typing import Any

from tunesmith.errors import Usage
from tunesmith.request import Rerun
from tunesmith.reruns import once_more
from tunesmith.status import Status
from tunesmith_cli.cluster.requests import ended

Patch = dict[str, Any]

# Why a Job's pod does not run yet though nothing is wrong: another attempt would replace the Job, and lose
# its place in Kueue's queue.
_ON_ITS_WAY = frozenset({"Starting", "WaitingForQueue"})


def suspend(request: Mapping[str, Any], status: Status) -> Patch | None:
    """Pause it; None if it is suspended already."""
    name = request["metadata"]["name"]
    if request["spec"].get("suspend"):
        return None
    if end := ended(request, status):
        raise Usage(
            f"{name} has ended: it {'is complete' if end == 'Complete' else 'has failed'}",
            remedy="nothing is left to suspend",
        )
    return {"spec": {"suspend": True}}


def resume(request: Mapping[str, Any], _status: Status) -> Patch | None:
    """Continue it; None if it is not suspended."""
    return {"spec": {"suspend": False}} if request["spec"].get("suspend") else None


def retry(request: Mapping[str, Any], status: Status, identity: str) -> Patch:
    """Give another attempt to what failed, or to a Job whose pod cannot start.

    Raises Usage if nothing has failed.
    """
    name = request["metadata"]["name"]
    if request["spec"].get("suspend"):
        raise Usage(f"{name} is suspended", remedy="`resume` continues it")
    if ended(request, status) != "Failed" and status.phase != "Failed" and not stuck(status):
        remedy = "`status` shows what it does"
        if status.phase == "Succeeded":
            remedy = "`rerun --from STAGE` runs finished stages again"
        raise Usage(f"{name} has not failed: it is {status.phase}", reason="NotFailed", remedy=remedy)
    return {"spec": {"retry": identity}}


def stuck(status: Status) -> str:
    """Why a stage's pod cannot start, as far as the status says so; empty if it is only on its way."""
    reasons = (row.reason for row in status.stages if row.phase == "Pending" and row.job)
    return next((reason for reason in reasons if reason and reason not in _ON_ITS_WAY), "")


def rerun(request: Mapping[str, Any], status: Status, stage: str, identity: str) -> Patch:
    """Run a stage and all later ones again; the stages before it stay as earlier reruns made them.

    Raises Usage.
    """
    name = request["metadata"]["name"]
    if status.stages and all(row.name != stage for row in status.stages):
        raise Usage(
            f"{name} has no stage {stage}", remedy=f"it has {', '.join(row.name for row in status.stages)}"
        )
    now = request["spec"].get("rerun") or {}
    before = Rerun.model_validate_json(json.dumps(now)) if now else None
    after = once_more(before, stage, identity).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if now.get("then"):
        after.setdefault("then", None)  # else a merge patch would leave it there
    return {"spec": {"rerun": after}}
