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
    """`request`: None if it cannot be read.

    `snapshot_map`: that of the present generation, or the one before and a blocker.
    """

    request: TrainingRequest | None
    snapshot_map: SnapshotMap | None
    blocker: Blocker | None = None


def accept(case: Case) -> Acceptance:
    """The snapshot of the present generation; or the one before it, and why there is no new one."""
    acceptance = _checked(case)
    blocker = acceptance.blocker
    if case.suspend and blocker is not None and not blocker.refused:
        blocker = Blocker("Suspended", "Suspended", "suspended: set spec.suspend to false", outdated=True)
        return Acceptance(acceptance.request, acceptance.snapshot_map, blocker)
    return acceptance


def _checked(case: Case) -> Acceptance:
    request: TrainingRequest | None = None
    before = case.world.snapshot
    try:
        request = checks.read(case.world.request)
        if before is not None and before.frozen.generation == case.who.generation:
            return Acceptance(request, before)  # it was checked when the snapshot was made
        snapshot_map = _new_snapshot(case, request)
    except NotAccepted as error:
        return Acceptance(request, before, Blocker("Failed", error.reason, str(error), refused=True))
    except Waiting as error:
        return Acceptance(request, before, Blocker("Pending", error.reason, error.message, outdated=True))
    return Acceptance(request, snapshot_map)


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
