"""Reruns: which id enters the key of a stage, and what one more rerun makes of those before it. Pure.

`rerun` alone could say one stage; `then` holds those of later stages, so that one of them runs again without going back to what an
earlier rerun replaced. A request without `then` keeps its keys.
"""

from typing import get_args

from tunesmith.request import Again, Rerun
from tunesmith.settings import StageName

_ORDER: tuple[StageName, ...] = get_args(StageName)


def id_of(rerun: Rerun | None, stage: StageName) -> str | None:
    """The id that enters the key of a stage; the newest counts."""
    if rerun is None:
        return None
    later = next((one.id for one in reversed(rerun.then) if one.from_ == stage), None)
    return later or (rerun.id if rerun.from_ == stage else None)


def latest(rerun: Rerun | None) -> Again | Rerun | None:
    """The latest rerun: its stage and its id."""
    if rerun is None or not rerun.then:
        return rerun
    return rerun.then[-1]


def once_more(now: Rerun | None, stage: StageName, identity: str) -> Rerun:
    """The rerun that runs a stage and all later ones again, and keeps what earlier reruns made of the stages before it."""
    if now is None or _ORDER.index(stage) <= _ORDER.index(now.from_):
        return Rerun.model_validate({"from": stage, "id": identity})
    kept = tuple(one for one in now.then if _ORDER.index(one.from_) < _ORDER.index(stage))
    return now.model_copy(update={"then": (*kept, Again.model_validate({"from": stage, "id": identity}))})
