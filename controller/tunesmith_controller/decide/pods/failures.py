"""What the Job controller does when a pod fails, by the stage's exit code. The first rule that fits counts."""

from typing import Any

from tunesmith.errors import ExitCode
from tunesmith.wire import CONTAINER


def policy() -> dict[str, Any]:
    """A podFailurePolicy. What fits no rule (75, a bug, a signal, memory) is counted against `backoffLimit`.

    - A code that is final ends the Job, also where the pod was being removed when it came: the same would come again.
    - 143 is a stage that was told to stop and has saved its state; a plain deletion of the pod would be counted otherwise.
    - DisruptionTarget is a pod that the cluster has taken away (drained or lost node, preemption, a node short of something), whatever
      its stage's end; one that has outgrown its own scratch volume has no such condition and is counted.
    """
    final = sorted(int(code) for code in ExitCode if code.final)
    return {
        "rules": [
            {"action": "FailJob", "onExitCodes": _codes(final)},
            {"action": "Ignore", "onExitCodes": _codes([int(ExitCode.STOPPED)])},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]
    }


def _codes(values: list[int]) -> dict[str, Any]:
    return {"containerName": CONTAINER, "operator": "In", "values": values}
