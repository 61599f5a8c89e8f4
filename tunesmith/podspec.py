"""What all pods of a request have in common: the controller's stages and the command line's sessions. Pure.

It decides as whom a pod runs, how it reaches the store and the hub, and what it may do. Pod Security
`restricted` admits all of it.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith import wire
from tunesmith.credentials import Source, hub_secret, hub_token
from tunesmith.profile import S3, Pod, Profile, Proxy
from tunesmith.quantities import quantity
from tunesmith.request import Resources, StageSettings, Toleration
from tunesmith.resolve import Snapshot
from tunesmith.settings import SecretKey

USER = 10001  # the user that the images create
SCRATCH = "/scratch"
CACHE = "/cache"
CERTIFICATES = "/etc/tunesmith-ca"
TMP = "/tmp"  # noqa: S108 - the pod mounts its own volume there
GPU = "nvidia.com/gpu"
CLAIM = "gpu"  # name of the claim in the pod through which dynamic resource allocation gives it a GPU
# Service meshes add a container to pods that does not end, and nobody connects to a stage. Each has a label
# or an annotation that keeps it away from a pod, in whatever way its namespace is set up.
NOT_IN_MESH_LABELS: Mapping[str, str] = {
    "sidecar.istio.io/inject": "false",
    "kuma.io/sidecar-injection": "disabled",
}
NOT_IN_MESH_ANNOTATIONS: Mapping[str, str] = {
    "sidecar.istio.io/inject": "false",  # before Istio 1.11 it was no label
    "linkerd.io/inject": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
    "sidecar.opentelemetry.io/inject": "false",
}
# Read by Python's ssl and httpx, by requests, by curl, and by boto3.
_BUNDLE = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")

Values = dict[str, str | dict[str, Any]]  # environment variables: a text, or a `valueFrom`


def env(values: Values) -> list[dict[str, Any]]:
    """`env` of a container."""
    return [_variable(name, value) for name, value in values.items()]


def _variable(name: str, value: str | dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "value" if isinstance(value, str) else "valueFrom": value}


def process() -> Values:
    """What a process of the jobs relies on, with telemetry switched off."""
    return {
        "HOME": SCRATCH,
        "USER": "tunesmith",  # libraries ask for the user's name, and a bare number has none
        "LOGNAME": "tunesmith",
        "TMPDIR": TMP,
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **wire.TELEMETRY_OFF,
    }


def folders(profile: Profile) -> Values:
    """Where libraries keep their caches, since the root file system is read-only.

    By default torch would derive the place from the user's name.
    """
    return {
        "HF_HOME": f"{CACHE if profile.cache_claim else SCRATCH}/huggingface",
        "XDG_CACHE_HOME": f"{SCRATCH}/.cache",
        "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH}/.cache/torchinductor",
        "TRITON_CACHE_DIR": f"{SCRATCH}/.cache/triton",
    }


def clients(profile: Profile) -> Values:
    """Proxies and certificates for every client, under each name that one of them reads."""
    values: Values = {}
    for name, value in _proxies(profile.proxy).items():
        values[name] = value
        values[name.lower()] = value
    if profile.ca_bundle is not None:
        values |= dict.fromkeys(_BUNDLE, f"{CERTIFICATES}/ca.crt")
    return values


def _proxies(proxy: Proxy) -> dict[str, str]:
    given = {"HTTP_PROXY": proxy.http, "HTTPS_PROXY": proxy.https, "NO_PROXY": proxy.no_proxy}
    return {name: value for name, value in given.items() if value}


def store(store: S3) -> Values:
    """How a pod reaches the store.

    Of all AWS endpoints only that of S3 is set, since a cloud identity has to reach the cloud's own token
    service.
    """
    settings = {
        "AWS_ENDPOINT_URL_S3": store.endpoint,
        "AWS_REGION": store.region,
        "AWS_DEFAULT_REGION": store.region,  # the one that boto3 reads
        wire.S3_ADDRESSING_STYLE: "" if store.addressing_style == "auto" else store.addressing_style,
        wire.S3_ENCRYPTION: store.encryption,
        wire.S3_KMS_KEY: store.kms_key if store.encryption == "aws:kms" else "",
    }
    values: Values = {name: value for name, value in settings.items() if value}
    if store.secret:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            values[name] = secret(SecretKey(name=store.secret, key=name))
        token = SecretKey(name=store.secret, key="AWS_SESSION_TOKEN")
        values[token.key] = secret(token, optional=True)
    return values


def hub(snapshot: Snapshot, profile: Profile) -> Values:
    """For a base model on the hub: the profile's hub, and the token for it."""
    values: Values = {}
    if hub_token(snapshot.spec) is Source.NOWHERE:
        return values
    if profile.hub_endpoint:
        values["HF_ENDPOINT"] = profile.hub_endpoint
    token = hub_secret(snapshot, profile)
    if token is not None:
        values["HF_TOKEN"] = secret(token)
    return values


def secret(key: SecretKey, *, optional: bool = False) -> dict[str, Any]:
    """`valueFrom` of a variable that holds a Secret's value. Only the kubelet reads the Secret."""
    reference: dict[str, Any] = {"name": key.name, "key": key.key}
    if optional:
        reference["optional"] = True
    return {"secretKeyRef": reference}


def certificates(profile: Profile) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Volume and mount of the profile's CA bundle, if it has one."""
    if profile.ca_bundle is None:
        return []
    bundle = profile.ca_bundle
    volume = {
        "name": "ca",
        "configMap": {"name": bundle.name, "items": [{"key": bundle.key, "path": "ca.crt"}]},
    }
    return [(volume, {"name": "ca", "mountPath": CERTIFICATES, "readOnly": True})]


def cache(profile: Profile) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Volume and mount of the profile's shared cache, if it has one."""
    if not profile.cache_claim:
        return []
    volume = {"name": "cache", "persistentVolumeClaim": {"claimName": profile.cache_claim}}
    return [(volume, {"name": "cache", "mountPath": CACHE})]


def scratch(size: str, storage_class: str) -> dict[str, Any]:
    """The scratch volume: on the node's own disk, or of a storage class and as long-lived as the pod."""
    if not storage_class:
        return {"name": "scratch", "emptyDir": {"sizeLimit": size}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": size}},
    }
    return {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}


def identity(profile: Profile) -> dict[str, Any]:
    """As whom the pod runs.

    A cloud identity comes as a projected volume of its own, so no API token is mounted.
    """
    spec: dict[str, Any] = {
        "serviceAccountName": profile.service_account_name or "default",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if profile.images.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in profile.images.pull_secrets]
    return spec


def confined() -> dict[str, Any]:
    """`securityContext` of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def labels(pod: Pod) -> dict[str, str]:
    """Labels of a pod: what keeps meshes away, unless the profile says otherwise."""
    return {**NOT_IN_MESH_LABELS, **pod.labels}


def annotations(pod: Pod) -> dict[str, str]:
    """Annotations of a pod: what keeps meshes away, unless the profile says otherwise."""
    return {**NOT_IN_MESH_ANNOTATIONS, **pod.annotations}


def placement(settings: StageSettings, pod: Pod) -> dict[str, Any]:
    """Where the pod may run: as the stage's settings say; affinity, runtime class and scheduler come from
    the profile.
    """
    spec = {
        "nodeSelector": dict(settings.node_selector),
        "tolerations": [_toleration(toleration) for toleration in settings.tolerations],
        "affinity": dict(pod.affinity),
        "priorityClassName": settings.priority_class_name,
        "runtimeClassName": pod.runtime_class_name,
        "schedulerName": pod.scheduler_name,
    }
    return {name: value for name, value in spec.items() if value}


def _toleration(toleration: Toleration) -> dict[str, Any]:
    set_fields = toleration.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
    return {"operator": toleration.operator, **set_fields}


def amounts(wanted: Resources, *, gpu: str) -> tuple[dict[str, str], dict[str, str]]:
    """Requests and limits of a container.

    `gpu`: the kind of GPU that the stage needs; empty if it needs none. It then gets one, unless `wanted`
    gives another number or another kind of GPU. A device cannot be overcommitted: Kubernetes expects it among
    the limits, and takes the request from there.
    """
    requests = {name: value for name, value in wanted.requests.items() if not _is_whole(name)}
    requested_devices = {name: value for name, value in wanted.requests.items() if _is_whole(name)}
    limits = requested_devices | wanted.limits
    if gpu and not any(map(is_gpu, limits)):
        limits[gpu] = "1"
    no_gpu = [name for name, value in limits.items() if is_gpu(name) and quantity(value) == 0]
    return requests, {name: value for name, value in limits.items() if name not in no_gpu}


def _is_whole(name: str) -> bool:
    """Whether a resource cannot be overcommitted: a device, or huge pages."""
    return "/" in name or name.startswith("hugepages-")


def is_gpu(name: str) -> bool:
    """Whether a resource is a GPU.

    A whole one of any vendor, a slice of one (NVIDIA's MIG, AMD's partitions), or a share in time
    (`nvidia.com/gpu.shared`).
    """
    return is_whole_gpu(name) or name.startswith(("nvidia.com/mig-", "nvidia.com/gpu.", "amd.com/"))


def is_whole_gpu(name: str) -> bool:
    """Whether a resource is a whole GPU. Intel's device plugin names them by their driver."""
    return name.endswith("/gpu") or name in ("gpu.intel.com/i915", "gpu.intel.com/xe")


def claims_gpu(wanted: Resources, pod: Pod, *, gpu: bool) -> bool:
    """Whether a container gets its GPU by a claim: the stage needs one, the profile has a template for such
    claims, and `wanted` names no amount.
    """
    named = [*wanted.requests, *wanted.limits]
    return gpu and bool(pod.gpu_claim.resource_claim_template_name) and not any(map(is_gpu, named))


def with_claim(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Resources of a container that gets its GPU by the pod's claim."""
    return {**resources, "claims": [{"name": CLAIM}]}


def claim(pod: Pod) -> dict[str, Any]:
    """What the spec of a pod says of its claim."""
    template = pod.gpu_claim.resource_claim_template_name
    return {"resourceClaims": [{"name": CLAIM, "resourceClaimTemplateName": template}]}
