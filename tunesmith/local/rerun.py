"""Running finished stages again, by `rerun` in the run's snapshot. Pure.

A later plain `tunesmith run` keeps the rerun, so that it does not go back to the results from before.
"""

from tunesmith.errors import Usage
from tunesmith.plan import STAGES, graph
from tunesmith.request import Rerun
from tunesmith.resolve import Snapshot
from tunesmith.settings import StageName

AGAIN = "rerun"  # provenance


def with_rerun(snapshot: Snapshot, stage: StageName, identity: str) -> Snapshot:
    """The snapshot with new keys from a stage on. Raises Usage where that would bring back what an earlier rerun replaced."""
    if all(entry.name != stage for entry in snapshot.stages):
        raise Usage(f"run {snapshot.run} has no stage {stage}")
    now = snapshot.spec.rerun
    if now is not None and STAGES.index(now.from_) < STAGES.index(stage):
        raise Usage(
            f"{now.from_} was run again under the id {now.id!r}; {stage} alone would go back to the results from before",
            remedy=f"run again from {now.from_} or an earlier stage",
        )
    return _set(snapshot, Rerun.model_validate({"from": stage, "id": identity}))


def keeping_rerun(snapshot: Snapshot, stored: Snapshot | None) -> Snapshot:
    """The snapshot with the rerun that the run has already, unless the request says one of its own."""
    if snapshot.spec.rerun is not None or stored is None or stored.spec.rerun is None:
        return snapshot
    return _set(snapshot, stored.spec.rerun)


def _set(snapshot: Snapshot, rerun: Rerun) -> Snapshot:
    spec = snapshot.spec.model_copy(update={"rerun": rerun})
    return snapshot.model_copy(update={"spec": spec, "stages": graph(spec), "provenance": snapshot.provenance | {"rerun": AGAIN}})
