"""Whether a request can run as it is now, and by which snapshot."""

from dataclasses import dataclass

from tunesmith.request import TrainingRequest
from tunesmith_controller.decide.model import SnapshotMap
from tunesmith_controller.decide.reconcile import checks, snapshots
from tunesmith_controller.decide.reconcile.blocker import Blocker
from tunesmith_controller.decide.reconcile.case import Case
from tunesmith_controller.decide.reconcile.checks import NotAccepted, Waiting


@dataclass(frozen=True)
class Acceptance:
    """`snapshot_map`: that of the present generation, or the one before and a blocker."""

    snapshot_map: SnapshotMap | None
    blocker: Blocker | None = None


def accept(case: Case) -> Acceptance:
    """The snapshot of the present generation; or the one before it, and why there is no new one."""
    before = case.world.snapshot
    if before is not None and before.frozen.generation == case.who.generation:
        return Acceptance(before)  # the request was checked when the snapshot was made
    try:
        return Acceptance(_new_snapshot(case, checks.read(case.world.request)))
    except NotAccepted as error:
        return Acceptance(before, Blocker("Failed", error.reason, str(error), refused=True))
    except Waiting as error:
        blocker = Blocker("Pending", error.reason, error.message, outdated=True)
    if case.suspend:
        blocker = Blocker("Suspended", "Suspended", "suspended: set spec.suspend to false", outdated=True)
    return Acceptance(before, blocker)


def _new_snapshot(case: Case, request: TrainingRequest) -> SnapshotMap:
    """The snapshot of the present generation.

    Raises NotAccepted, or Waiting for the run of another request.
    """
    before = case.world.snapshot
    frozen = before.frozen if before is not None else None
    profile = checks.known(snapshots.profile_for(request, frozen, case.config), request, case.config)
    checks.allowed(request, snapshots.with_todays_rules(profile, case.config), case.config)
    snapshot_map = snapshots.freeze(case.who, request, profile, case.world.others)
    if case.finished or any(row.attempt for row in case.old.stages):
        checks.same_run(snapshot_map.snapshot.run, case.old.run)
        checks.same_store(profile.store.of(case.who.namespace), case.old.store)
    return snapshot_map
