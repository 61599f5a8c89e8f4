"""A container that does not start, for its image, Secrets, node or volumes."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tunesmith.podspec import is_gpu
from tunesmith.stages import STAGES
from tunesmith_controller.decide.classify.facts import Finding, PodFacts, added_by_others, shortened

_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    }
)
_PULL_REFUSED = ("unauthorized", "authorization failed", "denied", "no basic auth", "forbidden")
_NO_IMAGE = ("not found", "manifest unknown", "does not exist")
_SNAPSHOT = re.compile(r"-snapshot-[0-9a-f]{16}$")  # the end of its name (tunesmith/children.py)
_MISSING = re.compile(r'(secret|configmap) "([^"]+)" not found', re.IGNORECASE)
_MISSING_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) ([^/\s]+)/(\S+)")
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" (not found|is being deleted)')

_CLAIM_TEMPLATE = re.compile(r'resource claim template "([^"]+)": .* not found')
_INSUFFICIENT = re.compile(r"Insufficient ([^\s,;]+[^\s,;.])")
_INIT_SECONDS = timedelta(seconds=60)  # that an init container may take before it is named
_UNNOTICED = timedelta(seconds=60)  # that a pod may wait without a word of its scheduler

# What the scheduler says about a node -> what to do; {stage} is filled in. The first that matches counts.
_SCHEDULING: tuple[tuple[str, str], ...] = (
    (
        "cannot allocate all claims",
        "wait for a GPU; `kubectl get resourceclaims,resourceslices` shows what there is, and "
        "pods.{stage}.gpuClaim in the profile names the template of the pod's claim",
    ),
    (
        "Insufficient memory",
        "lower spec.stages.{stage}.resources.requests.memory (or limits.memory), or add a larger node",
    ),
    ("Insufficient cpu", "lower spec.stages.{stage}.resources.requests.cpu (or limits.cpu), or add a node"),
    (
        "Insufficient ephemeral-storage",
        "let the profile's pods.{stage}.scratch name a storageClassName or a smaller size, "
        "or add a node with a larger disk",
    ),
    ("Insufficient ", "lower spec.stages.{stage}.resources, or add a node that has it"),
    (
        "didn't match Pod's node affinity/selector",
        "fix spec.stages.{stage}.nodeSelector (or the profile's affinity): no node has these labels",
    ),
    ("untolerated taint", "add the taint's key to spec.stages.{stage}.tolerations"),
    ("Too many pods", "wait for pods to end, or add a node"),
)


def image(pod: PodFacts) -> Finding | None:
    """The image cannot be pulled."""
    reason = pod.waiting.get("reason")
    name = pod.container.get("image") or "the image"
    if reason == "InvalidImageName":
        return pod.finding(
            "InvalidImageName",
            f"{name!r} is not a valid image name",
            f"fix images.{STAGES[pod.stage].image} in the profile, then set spec.retry",
        )
    if reason not in _IMAGE:
        return None
    why = str(pod.waiting.get("message") or "")
    pulls = [
        event.message
        for event in pod.events
        if event.reason == "Failed" and "Failed to pull" in event.message
    ]
    # While it backs off, the message of some kubelets is only the name of the image.
    if pulls and len(pulls[-1]) > len(why):
        why = pulls[-1]
    return pod.finding(
        "ImagePullFailed",
        f"image {name} cannot be pulled: {shortened(_cause(why)) or reason}",
        _image_remedy(why, pod),
    )


def _image_remedy(why: str, pod: PodFacts) -> str:
    lower = why.lower()
    if any(word in lower for word in _PULL_REFUSED):
        return "give the profile a pull Secret of this namespace (`images.pullSecrets`), then set spec.retry"
    if any(word in lower for word in _NO_IMAGE):
        field = f"images.{STAGES[pod.stage].image}"
        return f"push the image, or name one that exists by {field} in the profile, then set spec.retry"
    if "never" in lower:
        return "load the image into the node, or set images.pullPolicy to IfNotPresent in the profile"
    return f"check that node {pod.node or 'of the pod'} reaches the registry; the pod then starts by itself"


def _cause(why: str) -> str:
    """The last part of the runtime's chain of errors; the others repeat the image's name."""
    text = why.removeprefix("Back-off pulling image ")
    for mark in ("code = NotFound desc = ", "code = Unknown desc = ", "desc = ", "ErrImagePull: "):
        if mark in text:
            return text.rpartition(mark)[2]
    return text


def configuration(pod: PodFacts) -> Finding | None:
    """A Secret or ConfigMap that the environment reads does not exist."""
    if pod.waiting.get("reason") != "CreateContainerConfigError":
        return None
    why = str(pod.waiting.get("message") or "")
    if match := _MISSING_KEY.search(why):
        key, kind, _, name = match.groups()
        return _missing(pod, kind, name, key)
    if match := _MISSING.search(why):
        return _missing(pod, "Secret" if match[1].lower() == "secret" else "ConfigMap", match[2])
    remedy = f"see `kubectl -n {pod.namespace} describe pod {pod.name}`"
    return pod.finding(
        "ContainerConfigInvalid", f"the container cannot be configured: {shortened(why)}", remedy
    )


def _missing(pod: PodFacts, kind: str, name: str, key: str = "") -> Finding:
    subject = f"{kind} {name} of namespace {pod.namespace}"
    if key:
        message = f"{subject} has no key {key}"
        remedy = f"add it with `kubectl -n {pod.namespace} edit {kind.lower()} {name}`"
    elif kind == "ConfigMap" and _SNAPSHOT.search(name):
        message = f"{subject}, which the controller made, was deleted"
        return pod.finding("ConfigMapMissing", message, "`kubectl tunesmith retry NAME` makes another one")
    else:
        message = f"{subject} does not exist"
        verb = "secret generic" if kind == "Secret" else "configmap"
        remedy = f"create it with `kubectl -n {pod.namespace} create {verb} {name} --from-literal=KEY=…`"
    return pod.finding(f"{kind}Missing", message, f"{remedy}; the pod then starts by itself")


def unschedulable(pod: PodFacts) -> Finding | None:
    """No node takes the pod."""
    reason = pod.scheduling.get("reason")
    if not pod.alive or reason not in ("Unschedulable", "SchedulingGated"):
        return None
    why = str(pod.scheduling.get("message") or "")
    if claim := _CLAIM.search(why):
        remedy = (
            f"create the PersistentVolumeClaim in namespace {pod.namespace}, "
            "or take cacheClaim out of the profile"
        )
        return pod.finding(
            "VolumeMissing",
            f"PersistentVolumeClaim {claim[1]} of namespace {pod.namespace} does not exist",
            remedy,
        )
    if "unbound immediate PersistentVolumeClaims" in why:
        remedy = (
            f"see `kubectl -n {pod.namespace} get pvc`: the storage class must provide volumes "
            f"(pods.{pod.stage}.scratch in the profile)"
        )
        return pod.finding("VolumeNotBound", "a volume of the pod is not bound yet", remedy)
    if reason == "SchedulingGated":
        return pod.finding(
            "SchedulingGated",
            "the pod waits for a scheduling gate of another controller to be lifted",
            "see what set the gate",
        )
    remedy = _no_free_gpu(why, pod) or next(
        (text.format(stage=pod.stage) for mark, text in _SCHEDULING if mark in why),
        "see the scheduler's message",
    )
    return pod.finding("Unschedulable", f"no node takes the pod: {shortened(_nodes(why))}", remedy)


def _no_free_gpu(why: str, pod: PodFacts) -> str:
    """What to do if the nodes lack GPUs; empty if that is not the cause."""
    name = next((name for name in _INSUFFICIENT.findall(why) if is_gpu(name)), "")
    if not name:
        return ""
    column = name.replace(".", "\\.")
    return (
        f"wait for a GPU, or lower spec.stages.{pod.stage}.resources.limits.{name}; "
        f"`kubectl get nodes -o custom-columns=NAME:.metadata.name,GPU:.status.allocatable.{column}` "
        "shows which nodes have any"
    )


def no_scheduler(pod: PodFacts, now: datetime) -> Finding | None:
    """No scheduler has said a word about the pod, which may name one that does not exist."""
    age = now - datetime.fromisoformat(pod.created) if pod.created else timedelta()
    if pod.node or not pod.alive or pod.status.get("conditions") or age < _UNNOTICED:
        return None
    if match := _CLAIM_TEMPLATE.search(pod.event("FailedResourceClaimCreation")):
        return pod.finding(
            "ClaimTemplateMissing",
            f"ResourceClaimTemplate {match[1]} of namespace {pod.namespace} does not exist",
            f"create it there, or name another by pods.{pod.stage}.gpuClaim in the profile; "
            "the pod then starts by itself",
        )
    return pod.finding(
        "NoScheduler",
        f"no scheduler has looked at the pod, which names {pod.scheduler}",
        f"see whether that scheduler runs; pods.{pod.stage}.schedulerName in the profile names another",
    )


def init_container(pod: PodFacts, now: datetime) -> Finding | None:
    """A container that has to end, or to start, before the stage's does. Tunesmith adds none."""
    message = str(_incomplete(pod).get("message") or "")
    listed = message.rpartition("[")[2].rstrip("]").split()
    statuses: Sequence[Mapping[str, Any]] = pod.status.get("initContainerStatuses") or ()
    status = next((status for status in statuses if status.get("name") in listed), None)
    if status is None or not pod.alive:
        return None
    remedy = added_by_others(pod, str(status["name"]))
    subject = f"init container {status['name']} of the pod"
    state = status.get("state") or {}
    waits = state.get("waiting") or {}
    if waits.get("reason") not in (None, "", "PodInitializing", "ContainerCreating"):
        why = f"{waits['reason']}: {shortened(str(waits.get('message') or ''))}".rstrip(": ")
        return pod.finding("InitContainerStuck", f"{subject} does not start: {why}", remedy)
    since = str((state.get("running") or {}).get("startedAt") or "")
    if not since or now - datetime.fromisoformat(since) < _INIT_SECONDS:
        return None
    return pod.finding(
        "InitContainerStuck", f"{subject} has run since {since}, and the stage starts only after it", remedy
    )


def _incomplete(pod: PodFacts) -> Mapping[str, Any]:
    """The condition that lists the init containers which the pod waits for; empty if it waits for none."""
    conditions: Sequence[Mapping[str, Any]] = pod.status.get("conditions") or ()
    return next(
        (
            entry
            for entry in conditions
            if entry.get("type") == "Initialized" and entry.get("status") == "False"
        ),
        {},
    )


def _nodes(why: str) -> str:
    """The scheduler's message without what it says about preemption, which repeats the rest."""
    return re.split(r"\.? *(?:no new claims to deallocate, )?preemption: ", why)[0].rstrip(". ,")


def volume(pod: PodFacts) -> Finding | None:
    """A volume that cannot be mounted, so that the container is not created."""
    if not pod.alive or pod.waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        return None
    why = pod.event("FailedMount", "FailedAttachVolume")
    if not why:
        return None
    if match := _MISSING.search(why):
        kind = "Secret" if match[1].lower() == "secret" else "ConfigMap"
        return _missing(pod, kind, match[2])
    if "references non-existent config key" in why:
        key = why.rpartition("references non-existent config key: ")[2].strip()
        return pod.finding(
            "ConfigMapMissing",
            f"a ConfigMap that the pod mounts has no key {key}",
            "fix caBundle in the profile, or the ConfigMap it names",
        )
    remedy = f"see `kubectl -n {pod.namespace} describe pod {pod.name}`"
    return pod.finding("VolumeNotMounted", f"a volume of the pod cannot be mounted: {shortened(why)}", remedy)
