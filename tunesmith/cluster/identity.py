"""What a short-lived pod of ours needs to reach the store and the hub as the profile's stages do: variables and volumes. Pure.

The controller builds the stages' pods; this is the same identity for a pod that only reads what they left.
"""

from typing import Any

from tunesmith.profile import Profile
from tunesmith.resolve import Snapshot

SCRATCH = "/scratch"
_CA_FOLDER = "/etc/tunesmith/ca"
_CACHE = "/cache"
_TELEMETRY_OFF = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def environment(profile: Profile, snapshot: Snapshot, *, hub: bool) -> list[dict[str, Any]]:
    """Variables of the container. `hub`: also the token for the base model, as evaluate has it."""
    store = profile.store
    plain = {
        "HOME": SCRATCH,
        "USER": "tunesmith",  # its number has no name in the image, and torch asks for one
        "LOGNAME": "tunesmith",
        "TMPDIR": SCRATCH,
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "HF_HOME": _CACHE if profile.cache_claim else f"{SCRATCH}/hf",
        **_TELEMETRY_OFF,
        "AWS_ENDPOINT_URL_S3": store.endpoint,
        "AWS_REGION": store.region,
        "AWS_DEFAULT_REGION": store.region,
        "TUNESMITH_S3_ADDRESSING_STYLE": "" if store.addressing_style == "auto" else store.addressing_style,
        "TUNESMITH_S3_ENCRYPTION": store.encryption,
        "TUNESMITH_S3_KMS_KEY": store.kms_key,
        "HF_ENDPOINT": profile.hub_endpoint,
        "HTTP_PROXY": profile.proxy.http,
        "HTTPS_PROXY": profile.proxy.https,
        "NO_PROXY": profile.proxy.no_proxy,
    }
    if profile.ca_bundle:
        file = f"{_CA_FOLDER}/{profile.ca_bundle.key}"
        plain |= {"SSL_CERT_FILE": file, "REQUESTS_CA_BUNDLE": file, "AWS_CA_BUNDLE": file}
    plain |= profile.env
    found: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in plain.items() if value]
    if store.secret:
        found += [_secret(name, store.secret, name, optional=False) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
        found.append(_secret("AWS_SESSION_TOKEN", store.secret, "AWS_SESSION_TOKEN", optional=True))
    token = snapshot.spec.model.token_secret or profile.hub_secret
    if hub and token and snapshot.spec.model.base.startswith("hf://"):
        found.append(_secret("HF_TOKEN", token.name, token.key, optional=False))
    return found


def volumes(profile: Profile, *, scratch: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes of the pod, and where its container has them. `scratch`: the source of the scratch volume."""
    found = [({"name": "scratch", **scratch}, SCRATCH), ({"name": "tmp", "emptyDir": {}}, "/tmp")]  # noqa: S108 - the container's own
    if profile.ca_bundle:
        items = [{"key": profile.ca_bundle.key, "path": profile.ca_bundle.key}]
        found.append(({"name": "ca", "configMap": {"name": profile.ca_bundle.name, "items": items}}, _CA_FOLDER))
    if profile.cache_claim:
        found.append(({"name": "cache", "persistentVolumeClaim": {"claimName": profile.cache_claim}}, _CACHE))
    mounts = [{"name": volume["name"], "mountPath": place} for volume, place in found]
    return [volume for volume, _ in found], mounts


def _secret(variable: str, name: str, key: str, *, optional: bool) -> dict[str, Any]:
    reference = {"name": name, "key": key, **({"optional": True} if optional else {})}
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}
