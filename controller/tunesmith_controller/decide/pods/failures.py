"""What the Job controller does when a pod fails, by the stage's exit code.

The first rule that matches counts.
"""

from typing import Any

from tunesmith.errors import ExitCode
from tunesmith.wire import CONTAINER


def policy() -> dict[str, Any]:
    """A podFailurePolicy.

    What matches no rule (75, a bug, a signal, memory) is counted against `backoffLimit`.

    - A code that is final ends the Job, even if the pod was being removed: the next one would end the same
      way.
    - 143 is a stage that was asked to stop and has saved its state. Without this rule, deleting the pod would
      count as a failure.
    - DisruptionTarget is a pod that the cluster has taken away (drained or lost node, preemption, a node
      short of a resource), however its stage ended. A pod that has outgrown its own scratch volume lacks this
      condition and is counted.
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
