"""A pod that the cluster has taken away or rejected: eviction, drain, preemption, a lost node.

The stage is rarely at fault.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tunesmith.podspec import is_gpu
from tunesmith_controller.decide.classify.facts import Finding, PodFacts, shortened

_OVERDUE = timedelta(seconds=60)  # after the grace period, which deletionTimestamp holds already
_MOST_FULL = 3
_VOLUME_FULL = re.compile(r'Usage of EmptyDir volume "([^"]+)" exceeds the limit "([^"]+)"')
_REJECTIONS = ("OutOf", "UnexpectedAdmissionError", "NodeAffinity", "TopologyAffinity")  # how a reason begins
_SAVED = "a new pod continues from what is saved; there is nothing to do"
_ANOTHER = "another pod is tried; if it is rejected too, look at the node"
# What helps while pods are tried -> what helps once none is tried any more
GIVEN_UP = {
    _SAVED: "`kubectl tunesmith retry NAME` continues from what is saved",
    _ANOTHER: "look at the node, then `kubectl tunesmith retry NAME`",
}

# Reason of the condition DisruptionTarget -> our reason, what happened, what to do
DISRUPTIONS = {
    "PreemptionByScheduler": (
        "Preempted",
        "the pod made room for one of higher priority",
        f"{_SAVED}, unless spec.stages.{{stage}}.priorityClassName is too low",
    ),
    "DeletionByTaintManager": ("NodeLost", "node {node} was tainted or could not be reached", _SAVED),
    "DeletionByPodGC": ("NodeLost", "node {node} is gone", _SAVED),
    "EvictionByEvictionAPI": ("Evicted", "node {node} was drained", _SAVED),
    "TerminationByKubelet": ("Evicted", "node {node} shut down or ran short of a resource", _SAVED),
}


def node_lost(pod: PodFacts, now: datetime) -> Finding | None:
    """The pod was deleted, and still exists long after its grace period: nobody on its node ends it.

    Kubernetes creates no other pod until this one has ended.
    """
    if not pod.deleted or not pod.alive or not pod.node:
        return None
    if now < datetime.fromisoformat(pod.deleted) + _OVERDUE:
        return None
    remedy = (
        f"if node {pod.node} is dead, `kubectl delete node {pod.node}`, "
        "or taint it `node.kubernetes.io/out-of-service`: then a new pod continues from what is saved"
    )
    return pod.finding(
        "NodeLost",
        f"node {pod.node} has not ended the pod, which should have been gone by {pod.deleted}",
        remedy,
    )


def scratch_full_again(pods: Sequence[PodFacts]) -> Finding | None:
    """Its scratch volume was full in three pods. Kubernetes does not count that, and would go on for ever."""
    full = [
        finding for finding in map(evicted, pods) if finding is not None and finding.reason == "ScratchFull"
    ]
    if len(full) < _MOST_FULL:
        return None
    return replace(full[-1], message=f"{full[-1].message}, in {len(full)} pods one after another", final=True)


def evicted(pod: PodFacts) -> Finding | None:
    """The kubelet has evicted the pod, because it used too much or because the node ran short."""
    if pod.status.get("reason") != "Evicted":
        return None
    why = str(pod.status.get("message") or "")
    if match := _VOLUME_FULL.search(why):
        name, size = match.groups()
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
            "ScratchFull", f"the pod wrote more to its node's disk than it may use: {shortened(why)}", remedy
        )
    if "ephemeral-storage" in why:
        remedy = (
            f"{_SAVED}; if it happens again, give pods.{pod.stage}.scratch in the profile its size, "
            "so that a node with enough is chosen"
        )
        return pod.finding("Evicted", f"node {pod.node} ran out of disk", remedy)
    if "memory" in why:
        field = f"spec.stages.{pod.stage}.resources.requests.memory"
        remedy = f"{_SAVED}; if it happens again, set {field} to what it needs"
        return pod.finding("Evicted", f"node {pod.node} ran out of memory", remedy)
    return pod.finding("Evicted", f"the pod was evicted: {shortened(why)}", _SAVED)


def rejected(pod: PodFacts) -> Finding | None:
    """The kubelet has rejected the pod: what the scheduler thought to be free was not."""
    reason = str(pod.status.get("reason") or "")
    if pod.alive or pod.terminated or not reason.startswith(_REJECTIONS):
        return None
    why = str(pod.status.get("message") or reason)
    if any(is_gpu(word.strip(",.:;'\"")) for word in why.split()):
        remedy = f"look at the GPU device plugin of node {pod.node}"
    else:
        remedy = _ANOTHER
    return pod.finding("RejectedByNode", f"node {pod.node} rejected the pod: {shortened(why)}", remedy)


def disrupted(pod: PodFacts) -> Finding | None:
    """The cluster has taken the pod away, which is never counted as a failure."""
    condition = pod.disruption
    if not condition and pod.status.get("reason") != "NodeLost":
        return None
    entry = DISRUPTIONS.get(str(condition.get("reason") or "DeletionByTaintManager"))
    if entry is None:
        why = str(condition.get("message") or condition["reason"])
        return pod.finding("Disrupted", f"the pod was taken away: {shortened(why)}", _SAVED)
    reason, message, remedy = entry
    return pod.finding(reason, message.format(node=pod.node or "of the pod"), remedy.format(stage=pod.stage))
