"""What `reconcile` reads and what it returns: plain data.

The shell gathers a `World` and carries out a `Decision`.
"""

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
    """What a request's ConfigMap holds in addition to the snapshot."""

    generation: int
    """Generation of the request."""
    retry: str = ""
    """`spec.retry`; a new value takes today's images, secrets and placement."""
    rerun: str = ""
    """Stage and id of the latest rerun; a new one takes all of today's profile."""
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
    """A Kubernetes Event about a Job or pod, cut down.

    Only there does the Job controller report that a quota is used up.
    """

    reason: str
    message: str


@dataclass(frozen=True)
class Turn:
    """What admission says about a request.

    `place`: in the queue, 0 if it may run; `why`: the limit that it waits for. `gpu`: whether another Job
    with a GPU may start; `gpu_why`: the limit otherwise. `teacher_rate`: requests a minute that its Job may
    send to the teacher; 0: unlimited.
    """

    place: int = 0
    why: str = ""
    gpu: bool = True
    gpu_why: str = ""
    teacher_rate: int = 0


@dataclass(frozen=True, slots=True)
class Other:
    """Another request that this one names by `data.from.request` or `training.from.request`.

    `run`: empty while it has none; `finished`: the stages of its present generation that are done; `reads`:
    the requests that it names itself, each with the stage that it takes over, without those it has taken.
    """

    run: str = ""
    finished: tuple[str, ...] = ()
    failed: bool = False
    reads: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class World:
    """Everything that one decision is made on.

    Of a request whose generation has a snapshot already, the spec holds only what every decision reads
    (`trim_request`). Jobs and pods are those of the request's uid only, cut down to what is read.

    `gone_jobs` and `gone_pods`: the last states of those that were deleted before the status told their end;
    `others`: by name, without those that do not exist; `run_taken_by`: another request that works on the same
    run; `progress`: by the uid of a pod; `events`: by the uid of a Job or pod that makes no progress;
    `failed_to_create`: what the API server refused to create the last time, and why.
    """

    request: Object
    jobs: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    gone_jobs: Sequence[Object] = ()
    gone_pods: Sequence[Object] = ()
    snapshot: SnapshotMap | None = None
    turn: Turn = Turn()
    others: Mapping[str, Other] = field(default_factory=dict)
    run_taken_by: str = ""
    progress: Mapping[str, Progress] = field(default_factory=dict)
    events: Mapping[str, Sequence[Event]] = field(default_factory=dict)
    failed_to_create: str = ""


@dataclass(frozen=True)
class Delete:
    """A Job or a pod to delete, with its uid as a precondition."""

    name: str
    uid: str


@dataclass(frozen=True)
class Share:
    """A running pod, with its uid as a precondition, and its new share of the teacher's requests a minute."""

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
    """What is to be done, in this order.

    The snapshot's ConfigMap, status, pods, deletes, Jobs, shares, events.

    The status comes before the Job, with the resourceVersion that was read, even if nothing in it has
    changed: it names the Job that is about to be created. So a second leader that read the same status fails
    before it creates one, and a create that was lost is repeated under the same name. The snapshot comes
    before the status that names it. A pod is deleted before its Job, which gives its pods more time, and a
    kubelet that has begun to wait does not always hear of less (tried with 1.36).

    `creates`: the ConfigMap first; `pods`: pods to delete, whose stage is over and which other containers
    keep alive: the Job controller counts them once they have ended; `requeue_after`: seconds;
    `delete_request`: it has expired. The rest is for admission: `at_work`, it counts against the limits;
    `gpu` and `generating`, it has or is about to create a live Job with a GPU, or one that asks the teacher.
    """

    status: Status
    deletes: tuple[Delete, ...] = ()
    creates: tuple[Object, ...] = ()
    pods: tuple[Delete, ...] = ()
    shares: tuple[Share, ...] = ()
    notes: tuple[Note, ...] = ()
    requeue_after: float | None = None
    delete_request: bool = False
    at_work: bool = False
    gpu: bool = False
    generating: bool = False


class Config(Settings):
    """The controller's own configuration: profiles by name, and what is the same for all of them."""

    profiles: dict[str, Profile] = Field(default_factory=dict)
    """Profiles by name; their `name` and images are filled in when the file is read."""
    version: str = ""
    """Version for the recommended label. Built-in: the controller's own."""
