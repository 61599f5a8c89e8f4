"""A pod that the cluster took away or would not have: eviction, drain, preemption, a lost node. The stage is rarely at fault."""

import re
from datetime import datetime, timedelta

from tunesmith_controller.decide.classify.facts import Finding, PodFacts, shortened

_OVERDUE = timedelta(seconds=60)  # after the grace period, which deletionTimestamp holds already
_VOLUME_FULL = re.compile(r'Usage of EmptyDir volume "([^"]+)" exceeds the limit "([^"]+)"')
_SAVED = "a new pod goes on from what is saved; nothing is to be done"

# Reason of the condition DisruptionTarget -> our reason, what happened, what to do
DISRUPTIONS = {
    "PreemptionByScheduler": (
        "Preempted", "the pod made room for one of higher priority", f"{_SAVED}, unless spec.stages.{{stage}}.priorityClassName is too low",
    ),
    "DeletionByTaintManager": ("NodeLost", "node {node} was tainted or could not be reached", _SAVED),
    "DeletionByPodGC": ("NodeLost", "node {node} is gone", _SAVED),
    "EvictionByEvictionAPI": ("Evicted", "node {node} was drained", _SAVED),
    "TerminationByKubelet": ("Evicted", "node {node} shut down or ran short of something", _SAVED),
}  # fmt: skip


def node_lost(pod: PodFacts, now: datetime) -> Finding | None:
    """Deleted, and there long after its grace period: nobody on its node ends it. Kubernetes makes no other pod until it has ended."""
    until = str(pod.pod["metadata"].get("deletionTimestamp") or "")
    if not until or not pod.alive or not pod.node or now < datetime.fromisoformat(until) + _OVERDUE:
        return None
    remedy = (
        f"if node {pod.node} is dead, `kubectl delete node {pod.node}`, or taint it `node.kubernetes.io/out-of-service`: "
        "then a new pod goes on from what is saved"
    )
    return pod.finding(
        "NodeLost", f"node {pod.node} does not end the pod, which was to be gone by {until}", remedy
    )


def evicted(pod: PodFacts) -> Finding | None:
    """The kubelet has ended it, for its own usage or for the node's sake."""
    if pod.status.get("reason") != "Evicted":
        return None
    why = str(pod.status.get("message") or "")
    if found := _VOLUME_FULL.search(why):
        name, size = found.groups()
        if name == "scratch":
            remedy = f"set pods.{pod.stage}.scratch.size in the profile to more, or a storageClassName there"
            return pod.finding("ScratchFull", f"the scratch volume is full (its size is {size})", remedy)
        return pod.finding(
            "VolumeFull",
            f"volume {name} of the pod is full (its size is {size})",
            "report it: no stage should need so much",
        )
    if "ephemeral local storage usage exceeds" in why or "exceeds its local ephemeral storage limit" in why:
        remedy = f"raise spec.stages.{pod.stage}.resources.limits.ephemeral-storage, or leave it out"
        return pod.finding(
            "ScratchFull", f"the pod wrote more to its node's disk than it may: {shortened(why)}", remedy
        )
    if "ephemeral-storage" in why:
        remedy = (
            f"{_SAVED}; if it happens again, give pods.{pod.stage}.scratch in the profile its size, "
            "so that a node with enough is chosen"
        )
        return pod.finding("Evicted", f"node {pod.node} ran out of disk", remedy)
    if "memory" in why:
        remedy = f"{_SAVED}; if it happens again, set spec.stages.{pod.stage}.resources.requests.memory to what it needs"
        return pod.finding("Evicted", f"node {pod.node} ran out of memory", remedy)
    return pod.finding("Evicted", f"the pod was evicted: {shortened(why)}", _SAVED)


def rejected(pod: PodFacts) -> Finding | None:
    """The kubelet would not have it: what the scheduler thought free was not."""
    reason = str(pod.status.get("reason") or "")
    if (
        pod.alive
        or pod.terminated
        or not reason.startswith(("OutOf", "UnexpectedAdmissionError", "NodeAffinity", "TopologyAffinity"))
    ):
        return None
    gpu = "nvidia.com/gpu" in str(pod.status.get("message"))
    remedy = (
        f"look at the GPU device plugin of node {pod.node}"
        if gpu
        else "another pod is tried; if it stays so, look at the node"
    )
    return pod.finding(
        "RejectedByNode",
        f"node {pod.node} rejected the pod: {shortened(str(pod.status.get('message') or reason))}",
        remedy,
    )


def disrupted(pod: PodFacts) -> Finding | None:
    """The cluster has taken it away; never counted as a failure."""
    condition = pod.condition("DisruptionTarget", "True")
    if not condition and pod.status.get("reason") != "NodeLost":
        return None
    entry = DISRUPTIONS.get(str(condition.get("reason") or "DeletionByTaintManager"))
    if entry is None:
        return pod.finding(
            "Disrupted",
            f"the pod was taken away: {shortened(str(condition.get('message') or condition['reason']))}",
            _SAVED,
        )
    reason, message, remedy = entry
    return pod.finding(reason, message.format(node=pod.node or "of the pod"), remedy.format(stage=pod.stage))
