"""The environment of a stage's container: what it needs, and no secret of another source.

Order, the later ones winning: built-in, the profile's `env`, the request's `env`, and what decides where secrets go or what is run.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith import podspec, wire
from tunesmith.credentials import Source, teacher_key, tracker_prefixes
from tunesmith.podspec import Values
from tunesmith.profile import Profile
from tunesmith.resolve import Snapshot
from tunesmith.settings import SecretKey
from tunesmith.stages import STAGES
from tunesmith_controller.model import SnapshotMap
from tunesmith_controller.pods import resources
from tunesmith_controller.pods.volumes import POD, RATE_FILE


def variables(
    stage: str, attempt: int, snapshot: SnapshotMap, asked: Mapping[str, Any], processes: int
) -> list[dict[str, Any]]:
    """`env` of the container, each name once. `asked`: its resources; `processes`: how many share them."""
    profile, spec = snapshot.frozen.profile, snapshot.snapshot.spec
    found: Values = {**podspec.folders(profile), **_threads(asked, processes), **podspec.clients(profile)}
    found |= profile.env
    found |= getattr(spec.stages, stage).env
    found |= _fixed(stage, attempt)
    found |= podspec.store(profile.store)
    found |= _secrets(stage, snapshot.snapshot, profile)
    return podspec.env(found)


def _threads(asked: Mapping[str, Any], processes: int) -> Values:
    """As many threads as the container may use cores; libraries count the node's."""
    threads = resources.threads(asked, processes)
    return {"OMP_NUM_THREADS": str(threads)} if threads else {}


def _fixed(stage: str, attempt: int) -> Values:
    """What the stage relies on."""
    found = podspec.process() | {wire.ATTEMPT_NAME: f"a{attempt}", wire.KEEP_REQUEST: "1"}
    if stage == "generate":
        found[wire.TEACHER_RATE_FILE] = f"{POD}/{RATE_FILE}"
    return found


def _secrets(stage: str, snapshot: Snapshot, profile: Profile) -> Values:
    found: Values = {}
    seen = STAGES[stage].secrets
    if "teacher" in seen and (key := teacher_secret(snapshot, profile)) is not None:
        # Own data with its system message asks no teacher, and the stage knows whether it needs a key.
        found[wire.TEACHER_API_KEY] = podspec.secret(key, optional=snapshot.spec.data.source is not None)
    if "hub" in seen:
        found |= podspec.hub(snapshot, profile)
    if "trackers" in seen:
        prefixes = tracker_prefixes(snapshot.spec)
        found |= {
            name: podspec.secret(key)
            for name, key in profile.tracker_secrets.items()
            if name.startswith(prefixes)
        }
    return found


def teacher_secret(snapshot: Snapshot, profile: Profile) -> SecretKey | None:
    """The Secret with the key for the teacher's endpoint, if one may go there."""
    match teacher_key(snapshot, f"profile {profile.name}"):
        case Source.SPEC:
            return snapshot.spec.data.teacher.secret
        case Source.PLACE:
            return profile.teacher_secret
        case Source.NOWHERE:
            return None
