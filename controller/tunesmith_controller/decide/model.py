"""What `reconcile` reads and what it says: plain data. The shell gathers a `World` and carries out a `Decision`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from tunesmith.events import Progress
from tunesmith.profile import Profile
from tunesmith.resolve import Snapshot
from tunesmith.settings import Settings
from tunesmith.status import Status

Object = Mapping[str, Any]  # a Kubernetes object as JSON


class Frozen(Settings):
    """What a ConfigMap of a request holds beside the snapshot: the profile, and what it was frozen for."""

    generation: int
    """Generation of the request."""
    retry: str = ""
    """`spec.retry` then; another one takes today's images, secrets and placement."""
    rerun: str = ""
    """Stage and id of the latest rerun then; another one takes all of today's profile."""
    profile: Profile
    """The profile."""


@dataclass(frozen=True)
class SnapshotMap:
    """The ConfigMap that `status.snapshot` names, read."""

    name: str
    snapshot: Snapshot
    frozen: Frozen


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event about another object, cut down. The Job controller says only there that a quota is used up."""

    reason: str
    message: str


@dataclass(frozen=True)
class Turn:
    """What admission says about a request. `place`: in the queue, 0 if it may be at work; `why`: the limit that it waits for.

    `teacher_rate`: requests a minute that its generate Job may send, 0 for no limit.
    """

    place: int = 0
    why: str = ""
    gpu: bool = True  # whether another Job with a GPU may start
    gpu_why: str = ""
    teacher_rate: int = 0


@dataclass(frozen=True)
class Other:
    """Another request that this one refers to by `data.from.request` or `training.from.request`."""

    run: str = ""  # "" while it has none
    finished: frozenset[str] = frozenset()  # stages of its present generation that are done
    failed: bool = False


@dataclass(frozen=True)
class World:
    """Everything that one decision is made on. Jobs and pods are those of the request's uid only, cut down to what is read."""

    request: Object
    jobs: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    snapshot: SnapshotMap | None = None
    turn: Turn = Turn()
    others: Mapping[str, Other] = field(default_factory=dict)  # by name; one that does not exist is missing
    run_taken_by: str = ""  # an older request at work with the same run
    progress: Mapping[str, Progress] = field(default_factory=dict)  # by pod's uid
    events: Mapping[str, Sequence[Event]] = field(
        default_factory=dict
    )  # by the uid of a Job or pod that does not get on
    failed_to_create: str = ""  # what the API server said to the last create of this request


@dataclass(frozen=True)
class Delete:
    """A Job to delete, with its uid as a precondition."""

    name: str
    uid: str


@dataclass(frozen=True)
class Share:
    """A pod that works, with its uid as a precondition, and the requests a minute that it may send to the teacher from now on."""

    pod: str
    uid: str
    rate: int


@dataclass(frozen=True)
class Note:
    """A Kubernetes Event to write about the request."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Decision:
    """What is to be done, in this order: the snapshot's ConfigMap, status, deletes, Jobs, shares, events.

    The status comes before the Job, with the resourceVersion that was read, even if nothing in it has changed: it names the Job that is
    about to be made, so a second leader that read the same fails here, before it makes one; and a create that was lost is repeated under
    the same name. The snapshot comes before the status that names it.
    """

    status: Status
    deletes: tuple[Delete, ...] = ()
    creates: tuple[Object, ...] = ()  # ConfigMap first
    shares: tuple[Share, ...] = ()
    notes: tuple[Note, ...] = ()
    requeue_after: float | None = None  # seconds
    delete_request: bool = False  # it has expired
    at_work: bool = False  # counts against the limits, for admission
    gpu: bool = False  # has, or is about to make, a live Job with a GPU
    generating: bool = False  # has, or is about to make, a live generate Job


class Config(Settings):
    """The controller's own configuration: profiles by name, and what is the same for all of them."""

    profiles: dict[str, Profile] = Field(default_factory=dict)
    """Profiles by name; their `name` and images are filled in when the file is read."""
    version: str = ""
    """Version for the recommended label. Built-in: the controller's own."""
