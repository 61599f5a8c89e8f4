"""What one decision about a request is made on."""

from dataclasses import dataclass
from datetime import datetime

from tunesmith.status import Status
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Config, World
from tunesmith_controller.decide.objects import Identity, name_of
from tunesmith_controller.decide.reconcile.finished import Finished, done_jobs, finished


@dataclass(frozen=True)
class Case:
    """A request at one moment.

    `old`: its status as it was last written; `finished`: every key that is done; `done_jobs`: names of the
    Jobs that have done their work.
    """

    world: World
    config: Config
    now: datetime
    who: Identity
    old: Status
    finished: Finished
    done_jobs: frozenset[str]
    suspend: bool


def case_of(world: World, now: datetime, config: Config) -> Case:
    """The case, with everything that is read from the world once."""
    old = objects.read_status(world.request)
    done = done_jobs(world, now)
    return Case(
        world=world,
        config=config,
        now=now,
        who=objects.identity(world.request),
        old=old,
        finished=finished(old, done, world),
        done_jobs=frozenset(map(name_of, done)),
        suspend=(world.request.get("spec") or {}).get("suspend") is True,
    )
