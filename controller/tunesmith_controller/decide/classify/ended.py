"""A container that has ended: out of memory, with a result of the stage's own, or without one."""

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunesmith.errors import MOST_CRASHES, ExitCode
from tunesmith.podspec import is_gpu
from tunesmith_controller.decide.classify.facts import Finding, PodFacts, added_by_others, shortened

_LESS_MEMORY = {
    "train": "; on a CPU a smaller training.perDeviceTrainBatchSize or training.maxLength helps too",
    "evaluate": "; a smaller evaluation.perDeviceEvalBatchSize helps too",
    "generate": "; data.source in smaller files, or fewer data.examples, help too",
}
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{1,63}")
_NOT_STARTED = ("StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError")
# What no failed stage may call itself
_OF_REQUESTS = frozenset({"Complete", "Deleting", "Done", "Succeeded", "Suspended"})
_LINES = 3  # of a log that say how a process crashed


def out_of_memory_twice(pods: Sequence[PodFacts]) -> Finding | None:
    """It has happened in two pods: a third one would end the same way."""
    killed = [finding for finding in map(out_of_memory, pods) if finding is not None]
    if len(killed) < 2:
        return None
    return _for_the_last_time(killed[-1], len(killed))


def crashes_again(pods: Sequence[PodFacts]) -> Finding | None:
    """It has crashed too often for the next pod to be worth its time."""
    times = [pod for pod in pods if _has_crashed(pod)]
    if len(times) < MOST_CRASHES:
        return None
    last = reported(times[-1]) or crashed(times[-1])
    assert last is not None
    return _for_the_last_time(last, len(times))


def _for_the_last_time(finding: Finding, times: int) -> Finding:
    return replace(finding, message=f"{finding.message}, for the {_ordinal(times)} time", final=True)


def _has_crashed(pod: PodFacts) -> bool:
    code = pod.terminated.get("exitCode")
    by_signal = code is not None and code > 128 and code not in set(ExitCode)
    return code == ExitCode.BUG or by_signal


def out_of_memory(pod: PodFacts) -> Finding | None:
    """The kernel has killed it for the memory that it used."""
    # With exit code 0 only a child process was killed, and the stage has got on without it.
    if pod.terminated.get("reason") != "OOMKilled" or pod.terminated.get("exitCode") == 0:
        return None
    limit = ((pod.container.get("resources") or {}).get("limits") or {}).get("memory")
    field = f"spec.stages.{pod.stage}.resources"
    if limit and "memory limit" in pod.defaults:
        message = (
            f"the container needed more memory than the {limit} to which a LimitRange of namespace "
            f"{pod.namespace} limits it"
        )
        remedy = f"set {field}.limits.memory, which is not set, to more"
    elif limit:
        message = f"the container needed more memory than its limit of {limit}"
        remedy = f"raise {field}.limits.memory"
    else:
        message = "the container was killed because its node ran out of memory"
        remedy = f"set {field}.requests.memory to what it needs"
    return pod.finding("OOMKilled", message, remedy + _LESS_MEMORY.get(pod.stage, ""))


def init_container(pod: PodFacts) -> Finding | None:
    """A container that runs before the stage's has failed. Tunesmith adds none, so somebody else has."""
    if pod.alive or pod.terminated:
        return None
    statuses: Sequence[Mapping[str, Any]] = pod.status.get("initContainerStatuses") or ()
    for status in statuses:
        state = (status.get("state") or {}).get("terminated") or {}
        if state.get("exitCode", 0) != 0:
            name, why = status["name"], shortened(str(state.get("message") or ""))
            return pod.finding(
                "InitContainerFailed",
                f"init container {name} of the pod ended with exit code {state['exitCode']}, "
                f"before the stage could start{': ' + why if why else ''}",
                added_by_others(pod, name),
            )
    return None


def no_gpu(pod: PodFacts) -> Finding | None:
    """The stage needs a GPU and sees none. The remedy in its own result does not say how a pod gets one."""
    result = pod.result
    if result is None or result.exit_code == 0 or result.reason != "NoGPU":
        return None
    limits = (pod.container.get("resources") or {}).get("limits") or {}
    asked = next((f"{name}: {value}" for name, value in limits.items() if is_gpu(name)), "")
    claims = (pod.container.get("resources") or {}).get("claims") or ()
    if not asked and claims:
        asked = f"claim {claims[0]['name']}"
    if not asked:
        remedy = (
            f"set spec.stages.{pod.stage}.resources.limits.nvidia.com/gpu to 1 (now it is 0), "
            "or spec.training.device to cpu"
        )
    else:
        where = f" of node {pod.node}" if pod.node else ""
        remedy = (
            f"the pod was given one ({asked}), so look at the driver and the container toolkit{where}; "
            f"where GPUs need a RuntimeClass, set pods.{pod.stage}.runtimeClassName in the profile"
        )
    return pod.finding("NoGPU", result.message, remedy)


def reported(pod: PodFacts) -> Finding | None:
    """The stage says itself why it failed, which is better than any guess from outside."""
    result = pod.result
    if result is None or result.exit_code in (ExitCode.DONE, ExitCode.STOPPED, ExitCode.INTERRUPTED):
        return None
    final = result.exit_code in set(ExitCode) and ExitCode(result.exit_code).final
    # The reason of a condition must be one CamelCase word.
    usable = _REASON.fullmatch(result.reason) and result.reason not in _OF_REQUESTS
    reason = result.reason if usable else "StageFailed"
    message = result.message or f"{pod.stage} ended with {result.exit_code}"
    return pod.finding(reason, message, result.remedy, final=final)


def not_started(pod: PodFacts) -> Finding | None:
    """The runtime could not start the process."""
    if pod.terminated.get("reason") in _NOT_STARTED:
        state = pod.terminated
    elif pod.waiting.get("reason") in _NOT_STARTED:
        state = pod.waiting
    else:
        return None
    why = shortened(str(state.get("message") or state["reason"]))
    image = pod.container.get("image") or "the image"
    if "executable file not found" in why or "no such file or directory" in why:
        remedy = f"{image} is not an image of this stage: set images in the profile to those of this release"
    else:
        remedy = (
            f"see `kubectl -n {pod.namespace} describe pod {pod.name}`; "
            "the cause is often the node's container runtime or the RuntimeClass"
        )
    return pod.finding("StartError", f"the container could not be started: {why}", remedy)


def crashed(pod: PodFacts) -> Finding | None:
    """It ended without a result: by a signal, or by a fault that the stage did not catch."""
    code = pod.terminated.get("exitCode")
    if code in (None, 0, ExitCode.STOPPED):
        return None
    lines = [line for line in str(pod.terminated.get("message") or "").splitlines() if line.strip()][-_LINES:]
    last_lines = f"; its log ends: {shortened(' | '.join(lines))}" if lines else ""
    logs = f"`kubectl -n {pod.namespace} logs {pod.name}`"
    if code == 128 + signal.SIGKILL:
        message = f"the process was killed (SIGKILL) and could not save its state{last_lines}"
        grace = f"raise pods.{pod.stage}.terminationGracePeriodSeconds in the profile if it was being stopped"
        return pod.finding("Killed", message, f"{grace}; else see {logs}")
    if 128 < code < 128 + signal.NSIG:
        return pod.finding(
            "Crashed",
            f"the process was ended by {_signal(code - 128)}{last_lines}",
            f"see {logs}, and include it in a bug report",
        )
    return pod.finding(
        "Crashed", f"the process ended with exit code {code} and without a result{last_lines}", f"see {logs}"
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
