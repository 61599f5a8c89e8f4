"""The environment of a stage's container: what it needs, and no secret of another source.

Order, the later ones winning: built-in, the profile's `env`, the request's `env`, and what decides where secrets go or what is run.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith.profile import S3, Profile, Proxy
from tunesmith.resolve import BUILT_IN, Snapshot
from tunesmith.settings import SecretKey, StageName
from tunesmith_controller.model import SnapshotMap
from tunesmith_controller.pods import resources
from tunesmith_controller.pods.volumes import CACHE, CERTIFICATES, POD, SCRATCH, TEACHER_RATE_FILE, TMP

ATTEMPT = "TUNESMITH_ATTEMPT"
_TRACKERS = {"wandb": "WANDB_", "mlflow": "MLFLOW_", "trackio": "TRACKIO_", "tensorboard": "TENSORBOARD_"}
_BUNDLE = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")  # of Python's ssl and httpx, requests, curl, boto3

Values = dict[str, str | dict[str, Any]]  # a text, or a `valueFrom`


def variables(stage: StageName, attempt: int, snapshot: SnapshotMap, asked: Mapping[str, Any], processes: int) -> list[dict[str, Any]]:
    """`env` of the container, each name once. `asked`: its resources; `processes`: how many share them."""
    profile, spec = snapshot.frozen.profile, snapshot.snapshot.spec
    found: Values = {**_folders(profile), **_threads(asked, processes), **_clients(profile)}
    found |= profile.env
    found |= getattr(spec.stages, stage).env
    found |= _fixed(stage, attempt)
    found |= _store(profile.store)
    found |= _secrets(stage, snapshot.snapshot, profile)
    return [
        {"name": name, "value": value} if isinstance(value, str) else {"name": name, "valueFrom": value} for name, value in found.items()
    ]


def _folders(profile: Profile) -> Values:
    """Where libraries keep what they keep: the root file system is read-only. Caches of torch would ask for the user's name."""
    return {
        "HF_HOME": f"{CACHE if profile.cache_claim else SCRATCH}/huggingface",
        "XDG_CACHE_HOME": f"{SCRATCH}/.cache",
        "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH}/.cache/torchinductor",
        "TRITON_CACHE_DIR": f"{SCRATCH}/.cache/triton",
    }


def _threads(asked: Mapping[str, Any], processes: int) -> Values:
    """As many threads as the container may use cores; libraries count the node's."""
    threads = resources.threads(asked, processes)
    return {"OMP_NUM_THREADS": str(threads)} if threads else {}


def _clients(profile: Profile) -> Values:
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


def _fixed(stage: StageName, attempt: int) -> Values:
    """What the stage relies on, and telemetry off."""
    found: Values = {
        "HOME": SCRATCH,
        "USER": "tunesmith",
        "LOGNAME": "tunesmith",
        "TMPDIR": TMP,
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        ATTEMPT: f"a{attempt}",
        "TUNESMITH_KEEP_REQUEST": "1",
    }
    if stage == "generate":
        found["TUNESMITH_TEACHER_RATE_FILE"] = f"{POD}/{TEACHER_RATE_FILE}"
    return found


def _store(store: S3) -> Values:
    """Only S3's endpoint is set: a cloud identity has to reach the cloud's own token service."""
    given = {
        "AWS_ENDPOINT_URL_S3": store.endpoint,
        "AWS_REGION": store.region,
        "AWS_DEFAULT_REGION": store.region,  # the one that boto3 reads
        "TUNESMITH_S3_ADDRESSING_STYLE": "" if store.addressing_style == "auto" else store.addressing_style,
        "TUNESMITH_S3_ENCRYPTION": store.encryption,
        "TUNESMITH_S3_KMS_KEY": store.kms_key if store.encryption == "aws:kms" else "",
    }
    found: Values = {name: value for name, value in given.items() if value}
    if store.secret:
        found |= {name: _key(SecretKey(name=store.secret, key=name)) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        found["AWS_SESSION_TOKEN"] = _key(SecretKey(name=store.secret, key="AWS_SESSION_TOKEN"), optional=True)
    return found


def _secrets(stage: StageName, snapshot: Snapshot, profile: Profile) -> Values:
    found: Values = {}
    if stage == "generate" and (key := teacher_secret(snapshot, profile)) is not None:
        # Own data with its system message asks no teacher, and the stage knows whether it needs a key.
        found["TUNESMITH_TEACHER_API_KEY"] = _key(key, optional=snapshot.spec.data.source is not None)
    if stage != "deliver" and snapshot.spec.model.base.startswith("hf://"):
        if profile.hub_endpoint:
            found["HF_ENDPOINT"] = profile.hub_endpoint
        if (token := snapshot.spec.model.token_secret or profile.hub_secret) is not None:
            found["HF_TOKEN"] = _key(token)
    if stage == "train":
        wanted = tuple(_TRACKERS[name] for name in snapshot.spec.training.report_to)
        found |= {name: _key(key) for name, key in profile.tracker_secrets.items() if name.startswith(wanted)}
    return found


def teacher_secret(snapshot: Snapshot, profile: Profile) -> SecretKey | None:
    """The key that may go to the teacher's endpoint: the request's own, or the profile's if the endpoint is not the request's."""
    data = snapshot.spec.data
    if data.from_ is not None:
        return None
    if _is_profiles(snapshot, "data.teacher.baseURL", profile):
        return data.teacher.secret or profile.teacher_secret
    return None if _is_profiles(snapshot, "data.teacher.secret", profile) else data.teacher.secret


def _is_profiles(snapshot: Snapshot, path: str, profile: Profile) -> bool:
    return snapshot.provenance.get(path, BUILT_IN) in (BUILT_IN, f"profile {profile.name}")


def _key(secret: SecretKey, *, optional: bool = False) -> dict[str, Any]:
    return {"secretKeyRef": {"name": secret.name, "key": secret.key, **({"optional": True} if optional else {})}}
