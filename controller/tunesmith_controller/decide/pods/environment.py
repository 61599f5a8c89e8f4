"""The environment of a stage's container: what it needs, and only the secrets that it needs.

In this order, where later ones win: built-in, the profile's `env`, the request's `env`, and what decides
where secrets go or what is run.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith import podspec, wire
from tunesmith.credentials import Source, teacher_key, teacher_secrets, tracker_prefixes
from tunesmith.podspec import Values
from tunesmith.profile import Profile
from tunesmith.resolve import Snapshot, source_of
from tunesmith.settings import SecretKey
from tunesmith.stages import STAGES
from tunesmith_controller.decide.model import SnapshotMap
from tunesmith_controller.decide.pods import resources
from tunesmith_controller.decide.pods.volumes import POD, RATE_FILE


def variables(
    stage: str, attempt: int, snapshot: SnapshotMap, asked: Mapping[str, Any], processes: int
) -> list[dict[str, Any]]:
    """`env` of the container, each name once. `asked`: its resources; `processes`: how many share them."""
    profile, spec = snapshot.frozen.profile, snapshot.snapshot.spec
    values: Values = {**podspec.folders(profile), **_threads(asked, processes), **podspec.clients(profile)}
    values |= profile.env
    values |= getattr(spec.stages, stage).env
    values |= _fixed(stage, attempt)
    values |= podspec.store(profile.store)
    values |= _secrets(stage, snapshot.snapshot, profile)
    return podspec.env(values)


def _threads(asked: Mapping[str, Any], processes: int) -> Values:
    """As many threads as the container may use cores; libraries count the node's."""
    threads = resources.threads(asked, processes)
    return {"OMP_NUM_THREADS": str(threads)} if threads else {}


def _fixed(stage: str, attempt: int) -> Values:
    """What the stage relies on."""
    values = podspec.process() | {wire.ATTEMPT_NAME: f"a{attempt}", wire.KEEP_REQUEST: "1"}
    if STAGES[stage].asks_teacher:
        values[wire.TEACHER_RATE_FILE] = f"{POD}/{RATE_FILE}"
    return values


def _secrets(stage: str, snapshot: Snapshot, profile: Profile) -> Values:
    values: Values = {}
    allowed = STAGES[stage].secrets
    if "teacher" in allowed:
        values |= _teacher(snapshot, profile)
    if "hub" in allowed:
        values |= podspec.hub(snapshot, profile)
    if "trackers" in allowed:
        prefixes = tracker_prefixes(snapshot.spec)
        values |= {
            name: podspec.secret(key)
            for name, key in profile.tracker_secrets.items()
            if name.startswith(prefixes)
        }
    return values


def _teacher(snapshot: Snapshot, profile: Profile) -> Values:
    further = teacher_secrets(snapshot, source_of(profile))
    secrets = {variable: secret for variable, (_, secret) in further.items()}
    key = teacher_secret(snapshot, profile)
    if key is not None:
        secrets[wire.TEACHER_API_KEY] = key
    # Own data with its system message needs no teacher, and the stage knows whether it needs a key.
    optional = snapshot.spec.data.source is not None
    return {variable: podspec.secret(secret, optional=optional) for variable, secret in secrets.items()}


def teacher_secret(snapshot: Snapshot, profile: Profile) -> SecretKey | None:
    """The Secret with the key for the teacher's endpoint, if one may go there."""
    match teacher_key(snapshot, source_of(profile)):
        case Source.SPEC:
            return snapshot.spec.data.teacher.secret
        case Source.PLACE:
            return profile.teacher_secret
        case Source.NOWHERE:
            return None
