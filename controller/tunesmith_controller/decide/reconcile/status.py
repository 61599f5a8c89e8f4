"""The status of the whole request, from its rows and what blocks it: phase, reason, conditions, results."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from tunesmith.gate import Verdict
from tunesmith.stages import PARTS, STAGES, StageKind
from tunesmith.status import Condition, ConditionType, Outputs, Phase, StageStatus, Status
from tunesmith.wire import GATE_NOT_PASSED
from tunesmith_controller.decide.model import SnapshotMap
from tunesmith_controller.decide.objects import rfc3339
from tunesmith_controller.decide.reconcile.blocker import Blocker
from tunesmith_controller.decide.reconcile.case import Case
from tunesmith_controller.decide.reconcile.finished import remembered

FINAL: tuple[Phase, ...] = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Outcome:
    """What was decided about the stages.

    `current`: the stage that is next or runs; empty if there is none.
    """

    rows: Sequence[StageStatus] = ()
    current: str = ""
    blocker: Blocker | None = None
    verdict: Verdict | None = None
    snapshot_map: SnapshotMap | None = None

    @property
    def row(self) -> StageStatus | None:
        """The row of the current stage."""
        return next((row for row in self.rows if row.name == self.current), None)

    @property
    def refused(self) -> bool:
        """Whether the request itself is wrong."""
        return self.blocker is not None and self.blocker.refused

    @property
    def outdated(self) -> bool:
        """Whether the snapshot is that of an earlier generation."""
        return self.blocker is not None and self.blocker.outdated


class Summary(NamedTuple):
    """What a person reads first."""

    phase: Phase
    reason: str
    message: str


def next_status(case: Case, outcome: Outcome) -> Status:
    """The status to write; of the old one only what must not change is taken."""
    old = case.old
    summary = _summary(outcome)
    row = outcome.row
    snapshot_map = outcome.snapshot_map
    starts = [entry.start_time for entry in outcome.rows if entry.start_time]
    progress = row.progress if row is not None else 0
    if summary.phase == "Succeeded":
        progress = 100
    return Status(
        observedGeneration=case.who.generation,
        phase=summary.phase,
        stage=outcome.current,
        progress=progress,
        percent=f"{progress}%" if progress else "",
        eta=row.eta if row is not None and summary.phase == "Running" else "",
        loss=_loss(outcome.rows),
        reason=summary.reason,
        message=summary.message,
        run=snapshot_map.snapshot.run if snapshot_map else old.run,
        store=snapshot_map.frozen.profile.store.of(case.who.namespace) if snapshot_map else old.store,
        snapshot=snapshot_map.name if snapshot_map else old.snapshot,
        queuePlace=case.world.turn.place if summary.phase == "Queued" else 0,
        startTime=old.start_time or min(starts, default=""),
        completionTime=_completion_time(case, outcome, summary.phase),
        outputs=_outputs(outcome),
        stages=tuple(map(_cut, outcome.rows)),
        finished=remembered(case.finished, snapshot_map.snapshot if snapshot_map else None),
        conditions=_conditions(_Conditions(old, case.who.generation, case.now), outcome, summary),
    )


def _cut(row: StageStatus) -> StageStatus:
    """The row within the bounds of the status: what it was changed by had none."""
    return StageStatus.model_validate(row.model_dump(by_alias=True))


def _summary(outcome: Outcome) -> Summary:
    """Phase, reason and message; what is final first."""
    blocker = outcome.blocker
    row = outcome.row
    if blocker is not None and blocker.refused:
        runs = row is not None and row.phase == "Running"
        still = (
            f" ({row.name} still runs as it was before the edit; spec.suspend stops it)"
            if row and runs
            else ""
        )
        return Summary(blocker.phase, blocker.reason, blocker.message + still)
    if not outcome.outdated:
        end = _end(outcome)
        if end is not None:
            return end
    if row is not None and row.phase == "Running":  # it keeps running, whatever blocks the next one
        return Summary("Running", row.reason, f"{row.name}: {row.message}")
    if blocker is not None:
        return Summary(blocker.phase, blocker.reason, blocker.message)
    return _starting(outcome.rows, row)


def _end(outcome: Outcome) -> Summary | None:
    """How the request has ended, if it has."""
    rows = outcome.rows
    verdict = outcome.verdict
    failed = next((row for row in rows if row.phase == "Failed"), None)
    if failed is not None:
        return Summary("Failed", failed.reason, f"{failed.name}: {failed.message}")
    if verdict is not None and not verdict.passed:
        remedy = "look at the report; lower evaluation.gate.leastGain, or change data or training"
        return Summary("Failed", GATE_NOT_PASSED, f"{verdict}. What to do: {remedy}")
    if rows and all(row.phase == "Succeeded" for row in rows):
        return Summary("Succeeded", "Complete", str(verdict) if verdict else "all stages are done")
    return None


def _starting(rows: Iterable[StageStatus], row: StageStatus | None) -> Summary:
    """The summary of a request whose current stage is about to start."""
    if row is None:
        return Summary("Pending", "Starting", "about to start")
    message = f"{row.name}: {row.message}"
    if row.reason == "WaitingForQueue":
        return Summary("Queued", row.reason, message)
    between_stages = row.reason == "Starting" and any(earlier.phase == "Succeeded" for earlier in rows)
    phase: Phase = "Running" if between_stages else "Pending"
    return Summary(phase, row.reason or "Starting", message)


def _completion_time(case: Case, outcome: Outcome, phase: Phase) -> str:
    if phase not in FINAL or outcome.refused:
        return ""
    if case.old.phase == phase and case.old.completion_time:
        return case.old.completion_time
    return rfc3339(case.now)


def _loss(rows: Iterable[StageStatus]) -> str:
    train = next((row for row in rows if row.name == "train"), None)
    if train is None:
        return ""
    value = next((train.metrics[name] for name in ("loss", "trainLoss") if name in train.metrics), None)
    return "" if value is None else f"{value:.4g}"


def _outputs(outcome: Outcome) -> Outputs:
    done = {row.name: row.output for row in outcome.rows if row.phase == "Succeeded"}
    outputs = {name: done.get(stage, "") for name, (stage, _) in PARTS.items()}
    if outcome.snapshot_map is not None and "deliver" in done:
        outputs["model"] = outcome.snapshot_map.snapshot.spec.output
    return Outputs.model_validate(outputs)


@dataclass(frozen=True)
class _Conditions:
    """Makes conditions: `lastTransitionTime` moves only when `status` does."""

    old: Status
    generation: int
    now: datetime

    def make(self, kind: ConditionType, reason: str, message: str = "", *, holds: bool | None) -> Condition:
        """One condition. `holds`: None if it is not known."""
        status: Literal["True", "False", "Unknown"] = "Unknown"
        if holds is not None:
            status = "True" if holds else "False"
        since = rfc3339(self.now)
        known = next((condition for condition in self.old.conditions if condition.type == kind), None)
        if known is not None and known.status == status:
            since = known.last_transition_time
        return Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            lastTransitionTime=since,
            observedGeneration=self.generation,
        )


def _conditions(conditions: _Conditions, outcome: Outcome, summary: Summary) -> tuple[Condition, ...]:
    """All types, always in the same order."""
    rows = {row.name: row for row in outcome.rows}
    return (
        _accepted(conditions, outcome, summary),
        *(_of_stage(conditions, kind, rows.get(name)) for name, kind in STAGES.items()),
        *_ends(conditions, outcome, summary),
    )


def _accepted(conditions: _Conditions, outcome: Outcome, summary: Summary) -> Condition:
    if outcome.refused:
        return conditions.make("Accepted", summary.reason, summary.message, holds=False)
    if outcome.snapshot_map is None or outcome.outdated:
        return conditions.make("Accepted", summary.reason, summary.message, holds=None)
    return conditions.make("Accepted", "Accepted", holds=True)


def _of_stage(conditions: _Conditions, stage: StageKind, row: StageStatus | None) -> Condition:
    kind = stage.condition
    match row:
        case None:
            return conditions.make(kind, "NotRequested" if stage.asked_by else "Pending", holds=None)
        case StageStatus(phase="Succeeded"):
            return conditions.make(kind, "Succeeded", row.output, holds=True)
        case StageStatus(phase="Failed"):
            return conditions.make(kind, row.reason, row.message, holds=False)
        case _:
            return conditions.make(kind, row.reason or row.phase, holds=None)


def _ends(conditions: _Conditions, outcome: Outcome, summary: Summary) -> tuple[Condition, ...]:
    """Complete, Failed, Reconciling and Stalled. kstatus takes the first of the last two that is True.

    Reconciling is True until the first stage has started, as a Job counts as current while it runs.

    """
    phase, reason, message = summary
    over = phase in FINAL
    succeeded = phase == "Succeeded" if over else None
    failed = phase == "Failed" if over else None
    started = any(row.phase in ("Running", "Succeeded") or row.start_time for row in outcome.rows)
    stalled = phase == "Failed"
    end_message = message if over else ""
    if not over and not started and phase != "Suspended":
        reconciling = conditions.make("Reconciling", reason, message, holds=True)
    else:
        reconciling = conditions.make(
            "Reconciling", "Started" if started and not over else phase, holds=False
        )
    return (
        conditions.make("Complete", reason, end_message, holds=succeeded),
        conditions.make("Failed", reason, end_message, holds=failed),
        reconciling,
        conditions.make(
            "Stalled", reason if stalled else "Progressing", message if stalled else "", holds=stalled
        ),
    )
