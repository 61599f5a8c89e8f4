"""Why a Job fails or makes no progress.

Inputs are statuses and events as Kubernetes writes them.
"""

from datetime import UTC, datetime

import pytest

from tunesmith.errors import ExitCode
from tunesmith.events import Result
from tunesmith_controller.decide.classify import Finding, classify
from tunesmith_controller.decide.model import Event

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
POD = "riddles-train-0a1b2c3d-x7k2p"


def job(*conditions, failed=0):
    status = {"startTime": "2026-11-23T12:00:00Z", "failed": failed}
    if conditions:
        status["conditions"] = [{"status": "True", **item} for item in conditions]
    return {
        "metadata": {"name": "riddles-train-0a1b2c3d", "namespace": "team", "uid": "job-1"},
        "status": status,
    }


def gave_up(failed=4):
    return job(
        {"type": "FailureTarget", "reason": "BackoffLimitExceeded"},
        {
            "type": "Failed",
            "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit",
        },
        failed=failed,
    )


def failed_at_once():
    pod = "team/riddles-train-0a1b2c3d-x7k2p"
    message = f"Container stage for pod {pod} failed with exit code 78 matching FailJob rule at index 0"
    return job({"type": "Failed", "reason": "PodFailurePolicy", "message": message}, failed=1)


def pod(name=POD, phase="Pending", node="gpu-1", limits=None, created="2026-11-23T12:00:00Z", **status):
    container = {
        "name": "stage",
        "image": "registry.example/train:1",
        "resources": {"limits": limits} if limits else {},
    }
    return {
        "metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}", "creationTimestamp": created},
        "spec": {"nodeName": node, "containers": [container]} if node else {"containers": [container]},
        "status": {"phase": phase, **status},
    }


def state(**state):
    return {"containerStatuses": [{"name": "stage", "ready": False, "restartCount": 0, "state": state}]}


def waiting(reason, message=""):
    return state(waiting={"reason": reason, "message": message})


def ended(code, reason="Error", message="", name=POD, **more):
    terminated = {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": "2026-11-23T12:00:05Z",
        "finishedAt": "2026-11-23T12:09:00Z",
    }
    return pod(name, "Succeeded" if code == 0 else "Failed", **state(terminated=terminated), **more)


def reported(code, reason, message, remedy=""):
    return Result(
        stage="train", key="k", exit_code=code, reason=reason, message=message, remedy=remedy
    ).termination_message()


def unscheduled(message, reason="Unschedulable"):
    return pod(
        node="",
        conditions=[{"type": "PodScheduled", "status": "False", "reason": reason, "message": message}],
    )


def scheduled_by(name):
    item = pod(node="")
    return item | {"spec": item["spec"] | {"schedulerName": name}}


def given_by_limit_range(item):
    told = {"kubernetes.io/limit-ranger": "LimitRanger plugin set: memory limit for container stage"}
    return item | {"metadata": item["metadata"] | {"annotations": told}}


def with_init(state, *, listed=True):
    """The status of a pod with an init container of a mesh. `listed`: the pod waits for it."""
    status = {"initContainerStatuses": [{"name": "istio-init", "state": state}]} | waiting("PodInitializing")
    if listed:
        message = "containers with incomplete status: [istio-init]"
        status["conditions"] = [{"type": "Initialized", "status": "False", "message": message}]
    return status


def disrupted(reason, message="", **more):
    conditions = [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]
    return ended(143, message="", **more) | {"status": ended(143)["status"] | {"conditions": conditions}}


MEMORY = (
    "raise spec.stages.train.resources.limits.memory; "
    "on a CPU a smaller training.perDeviceTrainBatchSize or training.maxLength helps too"
)
SAVED = "a new pod continues from what is saved; there is nothing to do"
ADDED = (
    f"a policy or a service mesh has added it to the pod: see `kubectl -n team logs {POD} -c istio-init`, "
    "and keep it away by pods.train.labels or annotations in the profile"
)
AMD_NODES = (
    "`kubectl get nodes -o custom-columns=NAME:.metadata.name,GPU:.status.allocatable.amd\\.com/gpu` "
    "shows which nodes have any"
)
GPU_NODES = (
    "`kubectl get nodes -o custom-columns=NAME:.metadata.name,GPU:.status.allocatable.nvidia\\.com/gpu` "
    "shows which nodes have any"
)
FORBIDDEN = 'Error creating: pods "riddles-train-0a1b2c3d-" is forbidden: '

PODS = {  # the Job's only pod, its events -> the finding of a Job that has not given up
    "out of memory": (
        ended(137, "OOMKilled", limits={"memory": "2Gi"}),
        (),
        Finding("OOMKilled", "the container needed more memory than its limit of 2Gi", MEMORY, POD),
    ),
    "out of the node's memory": (
        ended(137, "OOMKilled"),
        (),
        Finding(
            "OOMKilled",
            "the container was killed because its node ran out of memory",
            "set spec.stages.train.resources.requests.memory to what it needs"
            "; on a CPU a smaller training.perDeviceTrainBatchSize or training.maxLength helps too",
            POD,
        ),
    ),
    "bad data, by the stage itself": (
        ended(65, message=reported(65, "RowsTooLong", "no answer fits", "raise training.maxLength")),
        (),
        Finding("RowsTooLong", "no answer fits", "raise training.maxLength", POD, final=True),
    ),
    "a store that is away": (
        ended(75, message=reported(75, "StoreUnreachable", "s3://b: no answer", "check the endpoint")),
        (),
        Finding("StoreUnreachable", "s3://b: no answer", "check the endpoint", POD),
    ),
    "a result at the end of a log, as the kubelet falls back to it": (
        ended(77, message="starting\n" + reported(77, "StoreRefused", "s3://b: denied") + "\n"),
        (),
        Finding("StoreRefused", "s3://b: denied", "", POD, final=True),
    ),
    "no GPU in the pod": (
        ended(
            75,
            message=reported(75, "NoGPU", "training.device is cuda, and no GPU is visible", "run elsewhere"),
        ),
        (),
        Finding(
            "NoGPU",
            "training.device is cuda, and no GPU is visible",
            "set spec.stages.train.resources.limits.nvidia.com/gpu to 1 (now it is 0), or "
            "spec.training.device to cpu",
            POD,
        ),
    ),
    "a GPU that the driver does not show": (
        ended(75, message=reported(75, "NoGPU", "no GPU is visible"), limits={"nvidia.com/gpu": "1"}),
        (),
        Finding(
            "NoGPU",
            "no GPU is visible",
            "the pod was given one (nvidia.com/gpu: 1), so look at the driver and the container toolkit of "
            "node gpu-1; where GPUs need a RuntimeClass, set pods.train.runtimeClassName in the profile",
            POD,
        ),
    ),
    "an image that does not exist": (
        pod(
            **waiting(
                "ErrImagePull",
                'failed to pull and unpack image "registry.example/train:1": failed to resolve reference '
                '"registry.example/train:1": '
                "rpc error: code = NotFound desc = registry.example/train:1: not found",
            )
        ),
        (),
        Finding(
            "ImagePullFailed",
            "image registry.example/train:1 cannot be pulled: registry.example/train:1: not found",
            "push the image, or name one that exists by images.train in the profile, then set spec.retry",
            POD,
        ),
    ),
    "the same, backing off": (
        pod(
            **waiting(
                "ImagePullBackOff",
                'Back-off pulling image "registry.example/train:1": ErrImagePull: rpc error: code = '
                "NotFound desc = "
                "registry.example/train:1: not found",
            )
        ),
        (),
        Finding(
            "ImagePullFailed",
            "image registry.example/train:1 cannot be pulled: registry.example/train:1: not found",
            "push the image, or name one that exists by images.train in the profile, then set spec.retry",
            POD,
        ),
    ),
    "an image that wants a login, told by an event": (
        pod(**waiting("ImagePullBackOff", 'Back-off pulling image "registry.example/train:1"')),
        (
            Event("Pulling", 'Pulling image "registry.example/train:1"'),
            Event(
                "Failed",
                'Failed to pull image "registry.example/train:1": rpc error: code = Unknown desc = pull '
                "access denied",
            ),
            Event("Failed", "Error: ErrImagePull"),
        ),
        Finding(
            "ImagePullFailed",
            "image registry.example/train:1 cannot be pulled: pull access denied",
            "give the profile a pull Secret of this namespace (`images.pullSecrets`), then set spec.retry",
            POD,
        ),
    ),
    "no name of an image": (
        pod(
            **waiting(
                "InvalidImageName", 'Failed to apply default image tag "Train!": invalid reference format'
            )
        ),
        (),
        Finding(
            "InvalidImageName",
            "'registry.example/train:1' is not a valid image name",
            "fix images.train in the profile, then set spec.retry",
            POD,
        ),
    ),
    "a missing Secret": (
        pod(**waiting("CreateContainerConfigError", 'secret "store" not found')),
        (),
        Finding(
            "SecretMissing",
            "Secret store of namespace team does not exist",
            "create it with `kubectl -n team create secret generic store --from-literal=KEY=…`; the pod "
            "then starts by itself",
            POD,
        ),
    ),
    "a missing key": (
        pod(
            **waiting(
                "CreateContainerConfigError", "couldn't find key AWS_ACCESS_KEY_ID in Secret team/store"
            )
        ),
        (),
        Finding(
            "SecretMissing",
            "Secret store of namespace team has no key AWS_ACCESS_KEY_ID",
            "add it with `kubectl -n team edit secret store`; the pod then starts by itself",
            POD,
        ),
    ),
    "another fault of the configuration": (
        pod(
            **waiting(
                "CreateContainerConfigError", "container has runAsNonRoot and image has non-numeric user (me)"
            )
        ),
        (),
        Finding(
            "ContainerConfigInvalid",
            "the container cannot be configured: container has runAsNonRoot and image has non-numeric user "
            "(me)",
            f"see `kubectl -n team describe pod {POD}`",
            POD,
        ),
    ),
    "no GPU is free": (
        unscheduled(
            "0/3 nodes are available: 1 node(s) had untolerated taint "
            "{node-role.kubernetes.io/control-plane: }, 2 Insufficient nvidia.com/gpu. "
            "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No "
            "preemption victims found for incoming pod."
        ),
        (),
        Finding(
            "Unschedulable",
            "no node takes the pod: 0/3 nodes are available: 1 node(s) had untolerated taint "
            "{node-role.kubernetes.io/control-plane: }, "
            "2 Insufficient nvidia.com/gpu",
            f"wait for a GPU, or lower spec.stages.train.resources.limits.nvidia.com/gpu; {GPU_NODES}",
            POD,
        ),
    ),
    "memory that no node has": (
        unscheduled(
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. no new claims to "
            "deallocate, preemption: 0/1 nodes …"
        ),
        (),
        Finding(
            "Unschedulable",
            "no node takes the pod: 0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory",
            "lower spec.stages.train.resources.requests.memory (or limits.memory), or add a larger node",
            POD,
        ),
    ),
    "labels that no node has": (
        unscheduled("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."),
        (),
        Finding(
            "Unschedulable",
            "no node takes the pod: 0/1 nodes are available: 1 node(s) didn't match Pod's node "
            "affinity/selector",
            "fix spec.stages.train.nodeSelector (or the profile's affinity): no node has these labels",
            POD,
        ),
    ),
    "a taint": (
        unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: present}."),
        (),
        Finding(
            "Unschedulable",
            "no node takes the pod: 0/1 nodes are available: 1 node(s) had untolerated taint "
            "{nvidia.com/gpu: present}",
            "add the taint's key to spec.stages.train.tolerations",
            POD,
        ),
    ),
    "a claim that does not exist": (
        unscheduled('0/1 nodes are available: persistentvolumeclaim "models" not found.'),
        (),
        Finding(
            "VolumeMissing",
            "PersistentVolumeClaim models of namespace team does not exist",
            "create the PersistentVolumeClaim in namespace team, or take cacheClaim out of the profile",
            POD,
        ),
    ),
    "a claim that is not bound": (
        unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
        (),
        Finding(
            "VolumeNotBound",
            "a volume of the pod is not bound yet",
            "see `kubectl -n team get pvc`: the storage class must provide volumes (pods.train.scratch in "
            "the profile)",
            POD,
        ),
    ),
    "a gate": (
        unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated"),
        (),
        Finding(
            "SchedulingGated",
            "the pod waits for a scheduling gate of another controller to be lifted",
            "see what set the gate",
            POD,
        ),
    ),
    "a ConfigMap to mount is missing": (
        pod(**waiting("ContainerCreating")),
        (
            Event("Scheduled", "…"),
            Event("FailedMount", 'MountVolume.SetUp failed for volume "ca" : configmap "corp-ca" not found'),
        ),
        Finding(
            "ConfigMapMissing",
            "ConfigMap corp-ca of namespace team does not exist",
            "create it with `kubectl -n team create configmap corp-ca --from-literal=KEY=…`; the pod then "
            "starts by itself",
            POD,
        ),
    ),
    "its key is missing": (
        pod(**waiting("ContainerCreating")),
        (
            Event(
                "FailedMount",
                'MountVolume.SetUp failed for volume "ca" : configmap references non-existent config key: '
                "ca.crt",
            ),
        ),
        Finding(
            "ConfigMapMissing",
            "a ConfigMap that the pod mounts has no key ca.crt",
            "fix caBundle in the profile, or the ConfigMap it names",
            POD,
        ),
    ),
    "a volume that cannot be attached": (
        pod(**waiting("ContainerCreating")),
        (
            Event(
                "FailedAttachVolume",
                'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other',
            ),
        ),
        Finding(
            "VolumeNotMounted",
            'a volume of the pod cannot be mounted: Multi-Attach error for volume "pvc-1" Volume is already '
            "used by pod(s) other",
            f"see `kubectl -n team describe pod {POD}`",
            POD,
        ),
    ),
    "an image of something else": (
        ended(
            128,
            "StartError",
            'failed to create containerd task: exec: "python": executable file not found in $PATH: unknown',
        ),
        (),
        Finding(
            "StartError",
            'the container could not be started: failed to create containerd task: exec: "python": '
            "executable file not found in $PATH: unknown",
            "registry.example/train:1 is not an image of this stage: set images in the profile to those of "
            "this release",
            POD,
        ),
    ),
    "a full scratch volume": (
        pod(
            phase="Failed",
            reason="Evicted",
            message='Usage of EmptyDir volume "scratch" exceeds the limit "10Gi". ',
        ),
        (),
        Finding(
            "ScratchFull",
            "the scratch volume is full (its size is 10Gi)",
            "set pods.train.scratch.size in the profile to more, or a storageClassName there",
            POD,
        ),
    ),
    "more than the limit of disk": (
        pod(
            phase="Failed",
            reason="Evicted",
            message="Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
        ),
        (),
        Finding(
            "ScratchFull",
            "the pod wrote more to its node's disk than it may use: Pod ephemeral local storage usage "
            "exceeds the total limit of containers 1Gi.",
            "raise spec.stages.train.resources.limits.ephemeral-storage, or leave it out",
            POD,
        ),
    ),
    "a node without memory": (
        pod(
            phase="Failed",
            reason="Evicted",
            message="The node was low on resource: memory. Threshold quantity: 100Mi, available: 48Mi.",
        ),
        (),
        Finding(
            "Evicted",
            "node gpu-1 ran out of memory",
            f"{SAVED}; if it happens again, set spec.stages.train.resources.requests.memory to what it needs",
            POD,
        ),
    ),
    "a device plugin without a device": (
        pod(
            phase="Failed",
            reason="UnexpectedAdmissionError",
            message="Pod was rejected: Allocate failed due to no healthy devices present; "
            "cannot allocate unhealthy devices nvidia.com/gpu",
        ),
        (),
        Finding(
            "RejectedByNode",
            "node gpu-1 rejected the pod: Pod was rejected: Allocate failed due to no healthy devices "
            "present; "
            "cannot allocate unhealthy devices nvidia.com/gpu",
            "look at the GPU device plugin of node gpu-1",
            POD,
        ),
    ),
    "a lost node": (
        disrupted("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
        (),
        Finding("NodeLost", "node gpu-1 was tainted or could not be reached", SAVED, POD),
    ),
    "a drained node": (
        disrupted("EvictionByEvictionAPI"),
        (),
        Finding("Evicted", "node gpu-1 was drained", SAVED, POD),
    ),
    "preempted": (
        disrupted("PreemptionByScheduler"),
        (),
        Finding(
            "Preempted",
            "the pod made room for one of higher priority",
            f"{SAVED}, unless spec.stages.train.priorityClassName is too low",
            POD,
        ),
    ),
    "a crash with the end of its log": (
        ended(
            1,
            message='Traceback (most recent call last):\n  File "x.py", line 1\nImportError: libcuda.so.1\n',
        ),
        (),
        Finding(
            "Crashed",
            "the process ended with exit code 1 and without a result; its log ends: Traceback (most recent "
            "call last): | "
            'File "x.py", line 1 | ImportError: libcuda.so.1',
            f"see `kubectl -n team logs {POD}`",
            POD,
        ),
    ),
    "a signal": (
        ended(139),
        (),
        Finding(
            "Crashed",
            "the process was ended by SIGSEGV",
            f"see `kubectl -n team logs {POD}`, and include it in a bug report",
            POD,
        ),
    ),
    "killed before it could save": (
        ended(137),
        (),
        Finding(
            "Killed",
            "the process was killed (SIGKILL) and could not save its state",
            "raise pods.train.terminationGracePeriodSeconds in the profile if it was being stopped; else "
            f"see `kubectl -n team logs {POD}`",
            POD,
        ),
    ),
    "just made": (pod(node="", created="2026-11-23T12:29:30Z"), (), None),
    "no scheduler of that name": (
        scheduled_by("volcano"),
        (),
        Finding(
            "NoScheduler",
            "no scheduler has looked at the pod, which names volcano",
            "see whether that scheduler runs; pods.train.schedulerName in the profile names another",
            POD,
        ),
    ),
    "no template of its claim": (
        pod(node=""),
        (
            Event(
                "FailedResourceClaimCreation",
                'PodResourceClaim gpu: resource claim template "one-gpu": '
                'resourceclaimtemplate.resource.k8s.io "one-gpu" not found',
            ),
        ),
        Finding(
            "ClaimTemplateMissing",
            "ResourceClaimTemplate one-gpu of namespace team does not exist",
            "create it there, or name another by pods.train.gpuClaim in the profile; "
            "the pod then starts by itself",
            POD,
        ),
    ),
    "no device for its claim": (
        unscheduled(
            "0/1 nodes are available: 1 cannot allocate all claims. still not schedulable, preemption: 0/1 "
            "nodes are available: 1 Preemption is not helpful for scheduling."
        ),
        (),
        Finding(
            "Unschedulable",
            "no node takes the pod: 0/1 nodes are available: 1 cannot allocate all claims. still not "
            "schedulable",
            "wait for a GPU; `kubectl get resourceclaims,resourceslices` shows what there is, and "
            "pods.train.gpuClaim in the profile names the template of the pod's claim",
            POD,
        ),
    ),
    "no GPU of another maker is free": (
        unscheduled("0/3 nodes are available: 3 Insufficient amd.com/gpu."),
        (),
        Finding(
            "Unschedulable",
            "no node takes the pod: 0/3 nodes are available: 3 Insufficient amd.com/gpu",
            f"wait for a GPU, or lower spec.stages.train.resources.limits.amd.com/gpu; {AMD_NODES}",
            POD,
        ),
    ),
    "no GPU on a node of another maker": (
        ended(75, message=reported(75, "NoGPU", "no GPU is visible", ""), limits={"amd.com/gpu": "1"}),
        (),
        Finding(
            "NoGPU",
            "no GPU is visible",
            "the pod was given one (amd.com/gpu: 1), so look at the driver and the container toolkit of node "
            "gpu-1; where GPUs need a RuntimeClass, set pods.train.runtimeClassName in the profile",
            POD,
        ),
    ),
    "out of the memory that a LimitRange gives": (
        given_by_limit_range(ended(137, "OOMKilled", limits={"memory": "512Mi"})),
        (),
        Finding(
            "OOMKilled",
            "the container needed more memory than the 512Mi to which a LimitRange of namespace team "
            "limits it",
            "set spec.stages.train.resources.limits.memory, which is not set, to more"
            "; on a CPU a smaller training.perDeviceTrainBatchSize or training.maxLength helps too",
            POD,
        ),
    ),
    "a child was out of memory, and the stage got on": (
        ended(0, "OOMKilled", reported(0, "Done", "done")),
        (),
        None,
    ),
    "an init container of a mesh has failed": (
        pod(phase="Failed", **with_init({"terminated": {"exitCode": 1, "message": "iptables: no chain"}})),
        (),
        Finding(
            "InitContainerFailed",
            "init container istio-init of the pod ended with exit code 1, before the stage could start: "
            "iptables: no chain",
            ADDED,
            POD,
        ),
    ),
    "an init container of a mesh hangs": (
        pod(**with_init({"running": {"startedAt": "2026-11-23T12:00:02Z"}})),
        (),
        Finding(
            "InitContainerStuck",
            "init container istio-init of the pod has run since 2026-11-23T12:00:02Z, and the stage starts "
            "only after it",
            ADDED,
            POD,
        ),
    ),
    "an init container of a mesh works": (
        pod(**with_init({"running": {"startedAt": "2026-11-23T12:29:30Z"}})),
        (),
        None,
    ),
    "a restartable init container does not come up": (
        pod(**with_init({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}})),
        (),
        Finding(
            "InitContainerStuck",
            "init container istio-init of the pod does not start: CrashLoopBackOff: back-off 40s restarting",
            ADDED,
            POD,
        ),
    ),
    "a restartable init container crashes while the stage runs": (
        pod(
            phase="Running",
            **with_init({"waiting": {"reason": "CrashLoopBackOff"}}, listed=False)
            | state(running={"startedAt": "2026-11-23T12:00:05Z"}),
        ),
        (),
        None,
    ),
    "being made": (pod(**waiting("ContainerCreating")), (Event("Pulling", "…"),), None),
    "running": (pod(phase="Running", **state(running={"startedAt": "2026-11-23T12:00:05Z"})), (), None),
    "done": (ended(0, "Completed", reported(0, "Done", "done")), (), None),
    "told to stop, and stopped": (
        ended(143, message=reported(143, "Stopped", "train was told to stop")),
        (),
        None,
    ),
}


@pytest.mark.parametrize(("item", "events", "expected"), PODS.values(), ids=PODS)
def test_a_pod_that_does_not_get_on_says_why_and_what_to_do(item, events, expected):
    assert classify(job(), [item], {item["metadata"]["uid"]: events}, NOW, stage="train") == expected


OR_CHANGE = "or change the LimitRange (`kubectl -n team describe limitrange`)"
RESOURCES = "spec.stages.train.resources"
JOBS = {  # events of a Job without a pod -> reason, message, remedy
    "a LimitRange gives less than is asked for": (
        'Error creating: Pod "riddles-train-0a1b2c3d-b4" is invalid: spec.containers[0].resources.requests: '
        'Invalid value: "2Gi": must be less than or equal to memory limit of 512Mi',
        "LimitRange",
        "a LimitRange of namespace team limits memory to 512Mi, and the stage requests 2Gi",
        f"set {RESOURCES}.limits.memory to 2Gi or more, or {RESOURCES}.requests.memory to 512Mi or less; "
        f"{OR_CHANGE}",
    ),
    "a LimitRange allows less": (
        FORBIDDEN + "maximum memory usage per Container is 1Gi, but limit is 8Gi",
        "LimitRange",
        "a LimitRange of namespace team refuses the pod: maximum memory usage per Container is 1Gi, but "
        "limit is 8Gi",
        f"set {RESOURCES}.limits.memory to at most 1Gi; {OR_CHANGE}",
    ),
    "a LimitRange wants more": (
        FORBIDDEN
        + "[minimum cpu usage per Container is 2, but request is 1, minimum memory usage per Container "
        "is 4Gi, but request is 2Gi]",
        "LimitRange",
        "a LimitRange of namespace team refuses the pod: [minimum cpu usage per Container is 2, but request "
        "is 1, minimum memory usage per Container is 4Gi, but request is 2Gi]",
        f"set {RESOURCES}.requests.cpu to at least 2; set {RESOURCES}.requests.memory to at least 4Gi; "
        f"{OR_CHANGE}",
    ),
    "a LimitRange for whole pods": (
        FORBIDDEN
        + "[maximum cpu usage per Pod is 500m.  No limit is specified, maximum memory usage per Pod is "
        "1Gi.  No limit is specified]",
        "LimitRange",
        "a LimitRange of namespace team refuses the pod: [maximum cpu usage per Pod is 500m. No limit is "
        "specified, maximum memory usage per Pod is 1Gi. No limit is specified]",
        f"set {RESOURCES}.limits.cpu to at most 500m in all containers together; set "
        f"{RESOURCES}.limits.memory to at most 1Gi in all containers together; {OR_CHANGE}",
    ),
    "a LimitRange wants a ratio": (
        FORBIDDEN
        + "memory max limit to request ratio per Container is 2, but no limit is specified or limit is "
        "0",
        "LimitRange",
        "a LimitRange of namespace team refuses the pod: memory max limit to request ratio per Container is "
        "2, but no limit is specified or limit is 0",
        f"set {RESOURCES}.limits.memory to at most 2 times its request; {OR_CHANGE}",
    ),
    "quota": (
        FORBIDDEN
        + "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=4, "
        "limited: requests.nvidia.com/gpu=4",
        "QuotaExceeded",
        "quota gpus of namespace team is used up: requests.nvidia.com/gpu=1 asked for, "
        "requests.nvidia.com/gpu=4 used of requests.nvidia.com/gpu=4",
        "wait for other pods to end (the Job tries again by itself), lower spec.stages.train.resources, or "
        "raise the quota",
    ),
    "a quota that wants limits": (
        FORBIDDEN + "failed quota: all: must specify limits.cpu for: stage; limits.memory for: stage",
        "QuotaExceeded",
        "quota all of namespace team requires every pod to set limits.cpu for: stage; limits.memory for: "
        "stage",
        "set them in spec.stages.train.resources, or once for all in the profile's defaults",
    ),
    "Pod Security": (
        FORBIDDEN + 'violates PodSecurity "restricted:latest": hostPath volumes (volume "models")',
        "PodSecurity",
        "Pod Security restricted:latest of namespace team refuses the pod: hostPath volumes (volume "
        '"models")',
        "the pod as Tunesmith makes it meets `restricted`: look for a webhook that changes pods",
    ),
    "a ServiceAccount": (
        FORBIDDEN + 'error looking up service account team/trainer: serviceaccount "trainer" not found',
        "ServiceAccountMissing",
        "ServiceAccount trainer of namespace team does not exist",
        "create it with `kubectl -n team create serviceaccount trainer`; the Job then continues by itself",
    ),
    "a PriorityClass": (
        FORBIDDEN + "no PriorityClass with name urgent was found",
        "PriorityClassMissing",
        "the cluster has no PriorityClass urgent",
        "set spec.stages.train.priorityClassName to one of `kubectl get priorityclasses`",
    ),
    "a RuntimeClass": (
        FORBIDDEN + 'pod rejected: RuntimeClass "nvidia" not found',
        "RuntimeClassMissing",
        "the cluster has no RuntimeClass nvidia",
        "set pods.train.runtimeClassName in the profile to one of `kubectl get runtimeclasses`, or leave it "
        "out",
    ),
    "a webhook": (
        'Error creating: admission webhook "policy.example.com" denied the request: images must be signed',
        "PodRefused",
        "the API server refuses the pod of Job riddles-train-0a1b2c3d: "
        'admission webhook "policy.example.com" denied the request: images must be signed',
        "fix what it names; the Job tries again by itself (`kubectl -n team describe job "
        "riddles-train-0a1b2c3d`)",
    ),
}


@pytest.mark.parametrize(("event", "reason", "message", "remedy"), JOBS.values(), ids=JOBS)
def test_a_job_whose_pod_is_refused_says_why_and_what_to_do(event, reason, message, remedy):
    events = {"job-1": (Event("FailedCreate", "an older one"), Event("FailedCreate", event))}
    assert classify(job(), [], events, NOW, stage="train") == Finding(reason, message, remedy)
    running = pod(phase="Running", **state(running={"startedAt": "2026-11-23T12:00:05Z"}))
    assert classify(job(), [running], events, NOW, stage="train") is None, (
        "it was refused earlier, and now there is one"
    )


FULL = 'Usage of EmptyDir volume "scratch" exceeds the limit "10Gi". '
OUT_OF_MEMORY = {"reason": "OOMKilled", "limits": {"memory": "2Gi"}}
HISTORY = {  # Job, its pods from the oldest on -> reason, final, part of the message
    "memory twice is enough": (
        job(failed=2),
        [
            ended(137, name="a", **OUT_OF_MEMORY),
            ended(137, name="b", created="2026-11-23T12:10:00Z", **OUT_OF_MEMORY),
        ],
        ("OOMKilled", True, "the container needed more memory than its limit of 2Gi, for the second time"),
    ),
    "also if a third pod runs by now": (
        job(failed=2),
        [
            pod(
                "c",
                "Running",
                created="2026-11-23T12:20:00Z",
                **state(running={"startedAt": "2026-11-23T12:20:05Z"}),
            ),
            ended(137, name="b", created="2026-11-23T12:10:00Z", **OUT_OF_MEMORY),
            ended(137, name="a", **OUT_OF_MEMORY),
        ],
        ("OOMKilled", True, "for the second time"),
    ),
    "once is not": (
        job(failed=1),
        [ended(137, name="a", **OUT_OF_MEMORY)],
        ("OOMKilled", False, "more memory than its limit"),
    ),
    "the fourth crash is the last": (
        job(failed=6),
        [
            ended(1, name="a"),
            ended(139, name="b", created="2026-11-23T12:10:00Z"),
            ended(
                75, message=reported(75, "StoreBusy", "slow down"), name="c", created="2026-11-23T12:20:00Z"
            ),
            ended(137, name="d", created="2026-11-23T12:30:00Z"),
            ended(143, name="e", created="2026-11-23T12:40:00Z"),
            ended(1, message=reported(1, "InternalError", "no"), name="f", created="2026-11-23T12:50:00Z"),
        ],
        ("InternalError", True, "no, for the 4th time"),
    ),
    "a full scratch volume that was full in two pods before": (
        job(),
        [
            pod(name, phase="Failed", reason="Evicted", created=f"2026-11-23T12:{minute}:00Z", message=FULL)
            for minute, name in enumerate("abc", 10)
        ],
        ("ScratchFull", True, "(its size is 10Gi), in 3 pods one after another"),
    ),
    "evicted and given up": (
        gave_up(1),
        [pod("a", phase="Failed", reason="Evicted", message="The node was low on resource: memory.")],
        ("Evicted", True, "node gpu-1 ran out of memory"),
    ),
    "the third is not": (
        job(failed=3),
        [
            ended(1, name="a"),
            ended(1, name="b", created="2026-11-23T12:10:00Z"),
            ended(1, name="c", created="2026-11-23T12:20:00Z"),
        ],
        ("Crashed", False, "the process ended with exit code 1"),
    ),
    "between two tries the last failure is told": (
        job(failed=1),
        [
            ended(75, message=reported(75, "StoreBusy", "slow down"), name="a"),
            pod("b", node="", created="2026-11-23T12:10:00Z"),
        ],
        ("StoreBusy", False, "slow down"),
    ),
    "what keeps the next pod from starting goes first": (
        job(failed=1),
        [
            ended(75, message=reported(75, "StoreBusy", "slow down"), name="a"),
            pod(
                "b",
                created="2026-11-23T12:10:00Z",
                **waiting("CreateContainerConfigError", 'secret "store" not found'),
            ),
        ],
        ("SecretMissing", False, "Secret store"),
    ),
    "a Job that has given up has its last pod's cause": (
        gave_up(),
        [
            ended(1, name="a"),
            ended(
                75, message=reported(75, "StoreBusy", "slow down"), name="b", created="2026-11-23T12:10:00Z"
            ),
        ],
        ("StoreBusy", True, "slow down (the last of 4 failed tries)"),
    ),
    "one without retries": (
        gave_up(1),
        [ended(75, message=reported(75, "StoreBusy", "slow down"))],
        ("StoreBusy", True, "slow down"),
    ),
    "bad data": (
        failed_at_once(),
        [ended(78, message=reported(78, "BadRequest", "two problems"))],
        ("BadRequest", True, "two problems"),
    ),
    "a Job without pods": (
        gave_up(),
        [],
        (
            "BackoffLimitExceeded",
            True,
            "Job riddles-train-0a1b2c3d failed: Job has reached the specified backoff limit",
        ),
    ),
    "somebody's deadline": (
        job(
            {
                "type": "Failed",
                "reason": "DeadlineExceeded",
                "message": "Job was active longer than specified deadline",
            }
        ),
        [],
        ("DeadlineExceeded", True, "was active longer"),
    ),
}


@pytest.mark.parametrize(("item", "pods", "expected"), HISTORY.values(), ids=HISTORY)
def test_several_tries_are_told_as_one_cause(item, pods, expected):
    finding = classify(item, pods, {}, NOW, stage="train")
    assert (finding.reason, finding.final) == expected[:2]
    assert expected[2] in finding.message


def test_a_complete_job_has_no_cause_whatever_its_pods_went_through():
    assert (
        classify(job({"type": "Complete"}), [ended(137, **OUT_OF_MEMORY), ended(1)], {}, NOW, stage="train")
        is None
    )


@pytest.mark.parametrize("code", [code for code in ExitCode if code.final])
def test_a_final_exit_code_is_final_before_the_job_says_so(code):
    finding = classify(
        job(), [ended(int(code), message=reported(int(code), "Why", "what"))], {}, NOW, stage="train"
    )
    assert finding == Finding("Why", "what", "", POD, final=True)


def test_every_cause_says_what_to_do_in_few_words():
    findings = [expected for _, _, expected in PODS.values() if expected is not None]
    assert len(findings) > 30
    for finding in findings:
        assert finding.remedy or finding.reason == "StoreRefused", f"{finding.reason} leaves the reader alone"
        assert len(finding.message) < 350
        assert not finding.message.endswith(".") or "ephemeral local storage" in finding.message
