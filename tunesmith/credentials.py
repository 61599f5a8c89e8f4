"""Which credentials a stage's process may have: a secret travels only with the endpoint of the same source.
Pure.

The *place* is what gives a request its defaults and its keys: the profile on a cluster, the environment on
one machine.
"""

from enum import Enum, auto

from tunesmith.profile import Profile
from tunesmith.request import Spec
from tunesmith.resolve import BUILT_IN, Snapshot, source_of
from tunesmith.settings import SecretKey
from tunesmith.trackers import TRACKERS
from tunesmith.url_patterns import Malformed, matches, parse_url
from tunesmith.wire import TEACHER_HEADER, TEACHER_QUERY, member_variable


class Source(Enum):
    """Where a credential is taken from."""

    SPEC = auto()
    """The secret that the resolved spec names."""
    PLACE = auto()
    """The place's own: a Secret of the profile, a variable of the environment."""
    NOWHERE = auto()
    """None may be sent, or none is needed."""


def teacher_key(snapshot: Snapshot, place: str) -> Source:
    """Where the key for the teacher's endpoint is taken from. `place`: its name in the snapshot's provenance.

    The place's key never goes to an endpoint that the request names.
    """
    data = snapshot.spec.data
    if data.from_ is not None:  # the dataset comes from another run, and no teacher is asked
        return Source.NOWHERE
    places = (BUILT_IN, place)
    if snapshot.provenance.get("data.teacher.baseURL", BUILT_IN) in places:
        return Source.PLACE if data.teacher.secret is None else Source.SPEC
    if snapshot.provenance.get("data.teacher.secret", BUILT_IN) in places:
        return Source.NOWHERE
    return Source.SPEC


def teacher_secrets(snapshot: Snapshot, place: str) -> dict[str, tuple[str, SecretKey]]:
    """The secrets that the teacher's endpoint is sent in addition to its key.

    Variable of the process -> field of the spec, and secret. The place's go to the place's endpoint only.
    """
    data, places = snapshot.spec.data, (BUILT_IN, place)
    if data.from_ is not None:
        return {}
    endpoint_is_places = snapshot.provenance.get("data.teacher.baseURL", BUILT_IN) in places
    found: dict[str, tuple[str, SecretKey]] = {}
    for field, prefix, secrets in (
        ("data.teacher.secretHeaders", TEACHER_HEADER, data.teacher.secret_headers),
        ("data.teacher.secretQuery", TEACHER_QUERY, data.teacher.secret_query),
    ):
        for name, secret in secrets.items():
            path = f"{field}.{name}"
            if endpoint_is_places or snapshot.provenance.get(path, BUILT_IN) not in places:
                found[member_variable(prefix, name)] = (f"spec.{path}", secret)
    return found


def hub_token(spec: Spec) -> Source:
    """Where the token for the hub is taken from: only a base model on the hub needs one."""
    if not spec.model.base.startswith("hf://"):
        return Source.NOWHERE
    return Source.PLACE if spec.model.token_secret is None else Source.SPEC


def hub_secret(snapshot: Snapshot, profile: Profile) -> SecretKey | None:
    """The Secret with the token for the hub on a cluster; None if none is sent.

    The profile's goes only to models that the platform team has listed.
    """
    model, source = snapshot.spec.model, hub_token(snapshot.spec)
    if source is Source.NOWHERE:
        return None
    if source is Source.SPEC and snapshot.provenance.get("model.tokenSecret") != source_of(profile):
        return model.token_secret
    if not _is_listed(model.base, profile, snapshot.namespace):
        return None
    return model.token_secret or profile.hub_secret


def _is_listed(base: str, profile: Profile, namespace: str) -> bool:
    """Whether the profile itself names a base model, or lets its token go to it."""
    default = profile.defaults.get("model")
    if base in profile.models.values() or (isinstance(default, dict) and base == default.get("base")):
        return True
    try:
        url = parse_url(base)
    except Malformed:
        return False
    patterns = (pattern.replace("{namespace}", namespace) for pattern in profile.allow.token_bases)
    return any(matches(url, pattern) for pattern in patterns)


def tracker_prefixes(spec: Spec) -> tuple[str, ...]:
    """What the variables of the trackers in `training.reportTo` begin with."""
    return tuple(TRACKERS[tracker].variables for tracker in spec.training.report_to)
