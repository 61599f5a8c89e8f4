"""Which credentials a stage's process may have: a secret travels only with the endpoint of the same source.
Pure.

The *place* is what gives a request its defaults and its keys: the profile on a cluster, the environment on
one machine.
"""

from enum import Enum, auto

from tunesmith.request import Spec
from tunesmith.resolve import BUILT_IN, Snapshot
from tunesmith.trackers import TRACKERS


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


def hub_token(spec: Spec) -> Source:
    """Where the token for the hub is taken from: only a base model on the hub needs one."""
    if not spec.model.base.startswith("hf://"):
        return Source.NOWHERE
    return Source.PLACE if spec.model.token_secret is None else Source.SPEC


def tracker_prefixes(spec: Spec) -> tuple[str, ...]:
    """What the variables of the trackers in `training.reportTo` begin with."""
    return tuple(TRACKERS[tracker].variables for tracker in spec.training.report_to)
