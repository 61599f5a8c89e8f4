"""Running finished stages again, by `rerun` in the run's snapshot. Pure.

A later plain `tunesmith run` keeps the rerun, so that it does not go back to the results from before.
"""

from tunesmith.errors import Usage
from tunesmith.plan import graph
from tunesmith.request import Rerun
from tunesmith.reruns import once_more
from tunesmith.resolve import Snapshot

AGAIN = "rerun"  # provenance


def with_rerun(snapshot: Snapshot, stage: str, identity: str) -> Snapshot:
    """The snapshot with new keys from a stage on; those before it stay, as an earlier rerun made them. Raises Usage."""
    if all(entry.name != stage for entry in snapshot.stages):
        raise Usage(
            f"run {snapshot.run} has no stage {stage}",
            remedy=f"it has {', '.join(entry.name for entry in snapshot.stages)}",
        )
    return _set(snapshot, once_more(snapshot.spec.rerun, stage, identity))


def keeping_rerun(snapshot: Snapshot, stored: Snapshot | None) -> Snapshot:
    """The snapshot with the rerun that the run has already, unless the request says another one."""
    own, there = snapshot.spec.rerun, stored.spec.rerun if stored else None
    if there is None or (own is not None and (own.then or (own.from_, own.id) != (there.from_, there.id))):
        return snapshot
    return _set(snapshot, there)


def _set(snapshot: Snapshot, rerun: Rerun) -> Snapshot:
    spec = snapshot.spec.model_copy(update={"rerun": rerun})
    return snapshot.model_copy(
        update={"spec": spec, "stages": graph(spec), "provenance": snapshot.provenance | {"rerun": AGAIN}}
    )
