"""Reruns: the id that enters the key of a stage, and how one more rerun is added to earlier ones. Pure.

`rerun` by itself names one stage. `then` adds later stages, so that one of them runs again and the results of
an earlier rerun stay. A request without `then` keeps its keys.
"""

from tunesmith.request import Again, Rerun
from tunesmith.stages import ORDER


def id_of(rerun: Rerun | None, stage: str) -> str | None:
    """The id that enters the key of a stage: that of the newest rerun of this very stage."""
    if rerun is None:
        return None
    reruns: list[Again | Rerun] = [rerun, *rerun.then]
    return next((again.id for again in reversed(reruns) if again.from_ == stage), None)


def latest(rerun: Rerun | None) -> Again | Rerun | None:
    """The latest rerun, with its stage and its id."""
    if rerun is None or not rerun.then:
        return rerun
    return rerun.then[-1]


def once_more(now: Rerun | None, stage: str, identity: str) -> Rerun:
    """The rerun that runs a stage and all later ones again, and keeps earlier reruns of the
    stages before it.
    """
    if now is None or not _is_before(now.from_, stage):
        return Rerun.model_validate({"from": stage, "id": identity})
    kept = [again for again in now.then if _is_before(again.from_, stage)]
    newest = Again.model_validate({"from": stage, "id": identity})
    return now.model_copy(update={"then": (*kept, newest)})


def _is_before(first: str, second: str) -> bool:
    return ORDER.index(first) < ORDER.index(second)
