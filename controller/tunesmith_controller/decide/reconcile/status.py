"""The request as a whole: its phase, why, its conditions and results, from its rows and what holds it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tunesmith.gate import Verdict
from tunesmith.manifest import stage_folder
from tunesmith.resolve import Snapshot
from tunesmith.stages import PARTS, STAGES, StageKind
from tunesmith.status import Condition, ConditionType, Outputs, Phase, StageStatus, Status
from tunesmith_controller.decide.objects import Identity, rfc3339

FINAL: tuple[Phase, ...] = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Blocker:
    """Why nothing is started now. `refused`: the request itself is wrong; `outdated`: there is no snapshot of this generation yet."""

    phase: Phase
    reason: str
    message: str
    refused: bool = False
    outdated: bool = False


@dataclass(frozen=True)
class Outcome:
    """All that the status is made of."""

    rows: Sequence[StageStatus] = ()
    current: str = ""  # stage at work
    hold: Blocker | None = None
    verdict: Verdict | None = None
    snapshot: Snapshot | None = None
    snapshot_name: str = ""
    store: str = ""
    place: int = 0


def next_status(who: Identity, old: Status, seen: Outcome, now: datetime) -> Status:
    """The status to write; of the old one only what must not change is taken."""
    phase, reason, message = _standing(seen)
    row = next((row for row in seen.rows if row.name == seen.current), None)
    starts = [one.start_time for one in seen.rows if one.start_time]
    progress = 100 if phase == "Succeeded" else row.progress if row else 0
    final = phase in FINAL and not (seen.hold and seen.hold.refused)
    return Status(
        observedGeneration=who.generation,
        phase=phase,
        stage=seen.current,
        progress=progress,
        percent=f"{progress}%" if progress else "",
        eta=row.eta if row and phase == "Running" else "",
        loss=_loss(seen.rows),
        reason=reason,
        message=message,
        run=seen.snapshot.run if seen.snapshot else old.run,
        store=seen.store or old.store,
        snapshot=seen.snapshot_name or old.snapshot,
        queuePlace=seen.place if phase == "Queued" else 0,
        startTime=old.start_time or min(starts, default=""),
        completionTime=""
        if not final
        else old.completion_time
        if old.phase == phase and old.completion_time
        else rfc3339(now),
        outputs=_outputs(seen),
        stages=tuple(seen.rows),
        conditions=_conditions(_Judge(old, who.generation, now), seen, phase, reason, message),
    )


def folder(store: str, run: str, stage: str, key: str) -> str:
    """Where a finished stage lies: the folder of its manifest, which follows from the key alone."""
    return f"{store}/{stage_folder(run, stage, key)}/"


def _standing(seen: Outcome) -> tuple[Phase, str, str]:
    """Phase, reason and message; what is final first."""
    hold = seen.hold
    row = next((row for row in seen.rows if row.name == seen.current), None)
    if hold is not None and hold.refused:
        goes_on = (
            f" ({row.name} runs on as it was before the edit; spec.suspend stops it)"
            if row and row.phase == "Running"
            else ""
        )
        return hold.phase, hold.reason, hold.message + goes_on
    if (hold is None or not hold.outdated) and (end := _end(seen)) is not None:
        return end
    if row is not None and row.phase == "Running":  # it goes on, whatever holds the next one
        return "Running", row.reason, f"{row.name}: {row.message}"
    if hold is not None:
        return hold.phase, hold.reason, hold.message
    if row is None:
        return "Pending", "Starting", "about to start"
    message = f"{row.name}: {row.message}"
    if row.reason == "WaitingForQueue":
        return "Queued", row.reason, message
    between = row.reason == "Starting" and any(one.phase == "Succeeded" for one in seen.rows)
    return "Running" if between else "Pending", row.reason or "Starting", message


def _end(seen: Outcome) -> tuple[Phase, str, str] | None:
    """How the request has ended, if it has."""
    failed = next((row for row in seen.rows if row.phase == "Failed"), None)
    if failed is not None:
        return "Failed", failed.reason, f"{failed.name}: {failed.message}"
    if seen.verdict is not None and not seen.verdict.passed:
        remedy = "look at the report; lower evaluation.gate.leastGain, or change data or training"
        return "Failed", "GateNotPassed", f"{seen.verdict}. What to do: {remedy}"
    if seen.rows and all(row.phase == "Succeeded" for row in seen.rows):
        return "Succeeded", "Complete", str(seen.verdict) if seen.verdict else "all stages are done"
    return None


def _loss(rows: Iterable[StageStatus]) -> str:
    train = next((row for row in rows if row.name == "train"), None)
    if train is None:
        return ""
    value = next((train.metrics[name] for name in ("loss", "trainLoss") if name in train.metrics), None)
    return "" if value is None else f"{value:.4g}"


def _outputs(seen: Outcome) -> Outputs:
    done = {row.name: row.output for row in seen.rows if row.phase == "Succeeded"}
    found = {name: done.get(stage, "") for name, (stage, _) in PARTS.items()}
    if seen.snapshot is not None and "deliver" in done:
        found["model"] = seen.snapshot.spec.output
    return Outputs.model_validate(found)


@dataclass(frozen=True)
class _Judge:
    """Makes conditions: `lastTransitionTime` moves only when `status` does."""

    old: Status
    generation: int
    now: datetime

    def __call__(self, kind: ConditionType, holds: bool | None, reason: str, message: str = "") -> Condition:  # noqa: FBT001 - three-valued
        status: Literal["True", "False", "Unknown"] = (
            "Unknown" if holds is None else "True" if holds else "False"
        )
        known = next((one for one in self.old.conditions if one.type == kind), None)
        return Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message[:32_768],
            lastTransitionTime=known.last_transition_time
            if known is not None and known.status == status
            else rfc3339(self.now),
            observedGeneration=self.generation,
        )


def _conditions(
    judged: _Judge, seen: Outcome, phase: Phase, reason: str, message: str
) -> tuple[Condition, ...]:
    """All types, always in the same order. kstatus takes the first of Reconciling and Stalled that is True.

    Reconciling is True until the first stage has started, as a Job counts as current while it runs.
    """
    refused = seen.hold is not None and seen.hold.refused
    rows = {row.name: row for row in seen.rows}
    started = any(row.phase in ("Running", "Succeeded") or row.start_time for row in seen.rows)
    over = phase in FINAL
    reconciling = not over and not started and phase != "Suspended"
    undecided = seen.snapshot is None or (seen.hold is not None and seen.hold.outdated)
    accepted = False if refused else None if undecided else True
    progressing = reason if reconciling else "Started" if started and not over else phase
    return (
        judged("Accepted", accepted, "Accepted" if accepted else reason, "" if accepted else message),
        *(_of_stage(judged, kind, rows.get(name)) for name, kind in STAGES.items()),
        judged("Complete", {"Succeeded": True, "Failed": False}.get(phase), reason, message if over else ""),
        judged("Failed", {"Succeeded": False, "Failed": True}.get(phase), reason, message if over else ""),
        judged("Reconciling", reconciling, progressing, message if reconciling else ""),
        judged(
            "Stalled",
            phase == "Failed",
            reason if phase == "Failed" else "Progressing",
            message if phase == "Failed" else "",
        ),
    )


def _of_stage(judged: _Judge, stage: StageKind, row: StageStatus | None) -> Condition:
    kind = stage.condition
    match row:
        case None:
            return judged(kind, None, "NotRequested" if stage.asked_by else "Pending")
        case StageStatus(phase="Succeeded"):
            return judged(kind, True, "Succeeded", row.output)  # noqa: FBT003
        case StageStatus(phase="Failed"):
            return judged(kind, False, row.reason, row.message)  # noqa: FBT003
        case _:
            return judged(kind, None, row.reason or row.phase)
