"""What one decision about a request is made on."""

from dataclasses import dataclass
from datetime import datetime

from tunesmith.status import Status
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Config, World
from tunesmith_controller.decide.objects import Identity
from tunesmith_controller.decide.reconcile.finished import Finished, finished


@dataclass(frozen=True)
class Case:
    """A request at one moment.

    `old`: its status as it was last written; `finished`: every key that is done.
    """

    world: World
    config: Config
    now: datetime
    who: Identity
    old: Status
    finished: Finished
    suspend: bool


def case_of(world: World, now: datetime, config: Config) -> Case:
    """The case, with everything that is read from the world once."""
    old = objects.read_status(world.request)
    return Case(
        world=world,
        config=config,
        now=now,
        who=objects.identity(world.request),
        old=old,
        finished=finished(old, world.jobs, world.pods),
        suspend=(world.request.get("spec") or {}).get("suspend") is True,
    )
