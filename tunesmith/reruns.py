"""Reruns: which id enters the key of a stage, and what one more rerun makes of those before it. Pure.

`rerun` alone could say one stage; `then` holds those of later stages, so that one of them runs again without
going back to what an earlier rerun replaced. A request without `then` keeps its keys.
"""

from tunesmith.request import Again, Rerun
from tunesmith.stages import ORDER


def id_of(rerun: Rerun | None, stage: str) -> str | None:
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


def once_more(now: Rerun | None, stage: str, identity: str) -> Rerun:
    """The rerun that runs a stage and all later ones again, and keeps what earlier reruns made of the stages
    before it.
    """
    if now is None or not _is_before(now.from_, stage):
        return Rerun.model_validate({"from": stage, "id": identity})
    kept = tuple(one for one in now.then if _is_before(one.from_, stage))
    return now.model_copy(update={"then": (*kept, Again.model_validate({"from": stage, "id": identity}))})


def _is_before(first: str, second: str) -> bool:
    return ORDER.index(first) < ORDER.index(second)
