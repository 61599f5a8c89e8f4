"""Running finished stages again, by `rerun` in the run's snapshot. Pure.

A later plain `tunesmith run` keeps the rerun, so that it does not return to the earlier results.
"""

from tunesmith.errors import Usage
from tunesmith.plan import graph
from tunesmith.request import Rerun
from tunesmith.reruns import once_more
from tunesmith.resolve import Snapshot

AGAIN = "rerun"  # provenance


def with_rerun(snapshot: Snapshot, stage: str, identity: str) -> Snapshot:
    """The snapshot with new keys from a stage on; earlier keys stay, as an earlier rerun made them.

    Raises Usage.
    """
    if all(entry.name != stage for entry in snapshot.stages):
        raise Usage(
            f"run {snapshot.run} has no stage {stage}",
            remedy=f"it has {', '.join(entry.name for entry in snapshot.stages)}",
        )
    return _set(snapshot, once_more(snapshot.spec.rerun, stage, identity))


def keeping_rerun(snapshot: Snapshot, stored: Snapshot | None) -> Snapshot:
    """The snapshot with the rerun that the run has already, unless the request names another one."""
    requested = snapshot.spec.rerun
    kept = stored.spec.rerun if stored else None
    if kept is None:
        return snapshot
    if requested is not None and (requested.then or _first(requested) != _first(kept)):
        return snapshot
    return _set(snapshot, kept)


def _first(rerun: Rerun) -> tuple[str, str]:
    return rerun.from_, rerun.id


def _set(snapshot: Snapshot, rerun: Rerun) -> Snapshot:
    spec = snapshot.spec.model_copy(update={"rerun": rerun})
    return snapshot.model_copy(
        update={"spec": spec, "stages": graph(spec), "provenance": snapshot.provenance | {"rerun": AGAIN}}
    )
