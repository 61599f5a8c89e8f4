"""What every pod of a request has, whoever makes it: the controller's stages, the command line's sessions. Pure.

As whom it runs, how it reaches store and hub, and what it may do: nothing that Pod Security `restricted` refuses.
"""

from typing import Any

from tunesmith import wire
from tunesmith.credentials import Source, hub_token
from tunesmith.profile import S3, Pod, Profile, Proxy
from tunesmith.request import Resources, StageSettings
from tunesmith.resolve import Snapshot
from tunesmith.settings import SecretKey

USER = 10001  # of the images
SCRATCH = "/scratch"
CACHE = "/cache"
CERTIFICATES = "/etc/tunesmith-ca"
TMP = "/tmp"  # noqa: S108 - a volume of the pod's own
GPU = "nvidia.com/gpu"
_BUNDLE = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
)  # of Python's ssl and httpx, requests, curl, boto3
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15} | {
    unit: 1 << (10 * power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), start=1)
}

Values = dict[str, str | dict[str, Any]]  # of variables: a text, or a `valueFrom`


def env(values: Values) -> list[dict[str, Any]]:
    """`env` of a container."""
    return [
        {"name": name, "value": value} if isinstance(value, str) else {"name": name, "valueFrom": value}
        for name, value in values.items()
    ]


def process() -> Values:
    """What a process of the jobs relies on, and telemetry off."""
    return {
        "HOME": SCRATCH,
        "USER": "tunesmith",  # libraries ask for the user's name, and a number has none
        "LOGNAME": "tunesmith",
        "TMPDIR": TMP,
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **wire.TELEMETRY_OFF,
    }


def folders(profile: Profile) -> Values:
    """Where libraries keep what they keep: the root file system is read-only. Caches of torch would ask for the user's name."""
    return {
        "HF_HOME": f"{CACHE if profile.cache_claim else SCRATCH}/huggingface",
        "XDG_CACHE_HOME": f"{SCRATCH}/.cache",
        "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH}/.cache/torchinductor",
        "TRITON_CACHE_DIR": f"{SCRATCH}/.cache/triton",
    }


def clients(profile: Profile) -> Values:
    """Proxies and certificates for every client, under each name that one of them reads."""
    found: Values = {}
    for name, value in _proxies(profile.proxy).items():
        found |= {name: value, name.lower(): value}
    if profile.ca_bundle is not None:
        found |= dict.fromkeys(_BUNDLE, f"{CERTIFICATES}/ca.crt")
    return found


def _proxies(proxy: Proxy) -> dict[str, str]:
    given = {"HTTP_PROXY": proxy.http, "HTTPS_PROXY": proxy.https, "NO_PROXY": proxy.no_proxy}
    return {name: value for name, value in given.items() if value}


def store(store: S3) -> Values:
    """Only S3's endpoint is set: a cloud identity has to reach the cloud's own token service."""
    given = {
        "AWS_ENDPOINT_URL_S3": store.endpoint,
        "AWS_REGION": store.region,
        "AWS_DEFAULT_REGION": store.region,  # the one that boto3 reads
        wire.S3_ADDRESSING_STYLE: "" if store.addressing_style == "auto" else store.addressing_style,
        wire.S3_ENCRYPTION: store.encryption,
        wire.S3_KMS_KEY: store.kms_key if store.encryption == "aws:kms" else "",
    }
    found: Values = {name: value for name, value in given.items() if value}
    if store.secret:
        found |= {
            name: secret(SecretKey(name=store.secret, key=name))
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        }
        found["AWS_SESSION_TOKEN"] = secret(
            SecretKey(name=store.secret, key="AWS_SESSION_TOKEN"), optional=True
        )
    return found


def hub(snapshot: Snapshot, profile: Profile) -> Values:
    """For a base model on the hub: the profile's hub, and the token for it."""
    values: Values = {}
    source = hub_token(snapshot.spec)
    if source is Source.NOWHERE:
        return values
    if profile.hub_endpoint:
        values["HF_ENDPOINT"] = profile.hub_endpoint
    token = snapshot.spec.model.token_secret if source is Source.SPEC else profile.hub_secret
    if token is not None:
        values["HF_TOKEN"] = secret(token)
    return values


def secret(key: SecretKey, *, optional: bool = False) -> dict[str, Any]:
    """A variable's `valueFrom` that is a Secret's value: the kubelet reads it, nobody else."""
    return {"secretKeyRef": {"name": key.name, "key": key.key, **({"optional": True} if optional else {})}}


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
    """The scratch volume: on the node's own disk, or one that lives as long as the pod."""
    if not storage_class:
        return {"name": "scratch", "emptyDir": {"sizeLimit": size}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": size}},
    }
    return {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}


def identity(profile: Profile) -> dict[str, Any]:
    """As whom the pod runs. A cloud's identity comes as a projected volume of its own, so no API token is mounted."""
    found: dict[str, Any] = {
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
        found["imagePullSecrets"] = [{"name": name} for name in profile.images.pull_secrets]
    return found


def confined() -> dict[str, Any]:
    """`securityContext` of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def placement(settings: StageSettings, pod: Pod) -> dict[str, Any]:
    """Where the pod may run: the request's (or its profile's defaults), affinity and runtime class the profile's."""
    tolerations = [
        one.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
        for one in settings.tolerations
    ]
    found = {
        "nodeSelector": dict(settings.node_selector),
        "tolerations": [
            {"operator": one.operator, **chosen}
            for one, chosen in zip(settings.tolerations, tolerations, strict=True)
        ],
        "affinity": dict(pod.affinity),
        "priorityClassName": settings.priority_class_name,
        "runtimeClassName": pod.runtime_class_name,
    }
    return {name: value for name, value in found.items() if value}


def amounts(wanted: Resources, *, gpu: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Requests and limits of a container as somebody wants them. `gpu`: it needs one, unless they name another number or another kind.

    A GPU cannot be overcommitted: Kubernetes wants it among the limits, and takes the request from there.
    """
    requests = {name: value for name, value in wanted.requests.items() if not is_gpu(name)}
    limits = {name: value for name, value in wanted.requests.items() if is_gpu(name)} | dict(wanted.limits)
    if gpu and not any(map(is_gpu, limits)):
        limits[GPU] = "1"
    return requests, {
        name: value for name, value in limits.items() if not is_gpu(name) or quantity(value) > 0
    }


def is_gpu(name: str) -> bool:
    """Whether a resource is a GPU: a whole one of any maker, a MIG slice, a share in time (`nvidia.com/gpu.shared`)."""
    return name.endswith("/gpu") or name.startswith(("nvidia.com/mig-", "nvidia.com/gpu."))


def quantity(text: str) -> float:
    """The number in a Kubernetes quantity, such as `500m`, `16Gi`."""
    number = text.rstrip("mkKMGTPi")
    unit = text[len(number) :]
    return float(number) / 1000 if unit == "m" else float(number) * _UNITS[unit]
