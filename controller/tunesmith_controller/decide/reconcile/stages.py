"""Where the stages of a request are: their rows and Jobs -> their next rows, and whether to create a Job.

At most one stage of a request works, and at most one Job of a key. A row names its Job before the Job is
created. A Job that was seen and is gone gets a successor under the next attempt, unless it is known how it
ended; one that was never seen is created again under the same name.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tunesmith import wire
from tunesmith.gate import Verdict
from tunesmith.manifest import stage_folder
from tunesmith.resolve import StageKey
from tunesmith.stages import AFTER_GATE
from tunesmith.status import StageStatus
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.classify import Finding, classify, lost_node
from tunesmith_controller.decide.model import Delete, Object, SnapshotMap
from tunesmith_controller.decide.objects import name_of, uid_of
from tunesmith_controller.decide.reconcile import rows
from tunesmith_controller.decide.reconcile.case import Case
from tunesmith_controller.decide.reconcile.finished import is_done, patience, pods_seen
from tunesmith_controller.decide.reconcile.job import is_outdated
from tunesmith_controller.decide.reconcile.rows import Step

_STUCK_AGAIN = 30.0  # seconds between two looks at a pod that is to go: no watch reports that it stays
_STARTING_AGAIN = 15.0  # seconds between two looks at a pod that starts
# Jobs in a row that somebody else may delete, in addition to `retries`, and how long a Job must have run to
# count as the first again.
_LOSSES = 3
_RAN_LONG = timedelta(minutes=10)
# What is over sooner is not worth a write of its own: a pod that starts, and a later stage of a request that
# runs already. The next write says it too.
_BRIEF = timedelta(seconds=10)


def walk(
    case: Case, snapshot_map: SnapshotMap, verdict: Verdict | None
) -> tuple[list[StageStatus], Step | None]:
    """A row for each stage, and the next step of the current one: the first that is not done.

    None if all are.
    """
    snapshot = snapshot_map.snapshot
    store = snapshot_map.frozen.profile.store.of(case.who.namespace)
    before = {(row.name, row.key): row for row in case.old.stages}
    passed = verdict is None or verdict.passed
    after: list[StageStatus] = []
    step: Step | None = None
    for stage in snapshot.stages:
        key = (stage.name, stage.key)
        row = before.get(key)
        if step is not None:
            after.append(rows.later(stage, row))
        elif is_done(stage, case.finished, snapshot, row, case.done_jobs):
            output = f"{store}/{stage_folder(snapshot.run, stage.name, stage.key)}/"
            pods = pods_seen(case.world, row.job) if row is not None else []
            ran = rows.ran(row, pods) if row is not None else None
            after.append(rows.succeeded(stage, ran, case.finished[key], output, pods))
        elif stage.kind in AFTER_GATE and not passed:
            after.append(rows.later(stage, row))
        else:
            step = _advance(case, snapshot_map, stage, row)
            after.append(step.row)
    return after, step


def _advance(case: Case, snapshot_map: SnapshotMap, stage: StageKey, old: StageStatus | None) -> Step:
    """The next step of a stage that is not done, while all before it are."""
    jobs = [
        job
        for job in case.world.jobs
        if objects.stage_of(job) == stage.name and objects.label(job, wire.KEY) == stage.key
    ]
    row = _taken_up(case, old or StageStatus(name=stage.name, key=stage.key), jobs)
    if row.phase == "Failed":
        return Step(row)
    job = next((job for job in jobs if name_of(job) == row.job), None)
    pods = pods_seen(case.world, row.job)
    if row.phase == "Stopping":
        return _stopping(case, row, job, pods)
    if row.job in case.done_jobs:
        # What it should report is lost: another Job finds the work and reports it.
        if job is not None and objects.unfinished(job):
            return Step(rows.stopping(row, suspend=case.suspend))
        return _stopping(case, row, job, pods)
    last = job or next((gone for gone in case.world.gone_jobs if name_of(gone) == row.job), None)
    if last is None:
        return _without_job(case, snapshot_map, row, pods)
    if objects.failed(last) or (_is_leaving(last, job) and objects.fails_its_job(pods)):
        if is_outdated(case, snapshot_map, last):
            # What made it fail was fixed while it ran, or before anybody looked.
            return _stopping(case, row, job, pods)
        return Step(rows.failed(case, rows.counted(row, last, pods), _why_failed(case, stage, last, pods)))
    if job is None:
        return _lost(case, snapshot_map, row, gone=True)
    if objects.terminating(job):
        return _lost(case, snapshot_map, row, gone=False)
    return _live(case, snapshot_map, row, job, pods)


def _is_leaving(last: Object, job: Object | None) -> bool:
    """Whether a Job is gone or about to go. `last`: its last state; `job`: None if it is gone."""
    return job is None or objects.terminating(last)


def _why_failed(case: Case, stage: StageKey, job: Object, pods: Sequence[Object]) -> Finding:
    finding = classify(job, pods, case.world.events, case.now, stage=stage.name)
    assert finding is not None, "a failed Job says at least that it has failed, and so does an exit code"
    return finding


def _taken_up(case: Case, row: StageStatus, jobs: Sequence[Object]) -> StageStatus:
    """The row, reset if an edit gives a failed stage another try, and with the live Job of its key."""
    if row.phase == "Failed" and row.failed_generation < case.who.generation:
        row = StageStatus(name=row.name, key=row.key, attempt=row.attempt, job=row.job, phase="Stopping")
    live = [job for job in jobs if objects.unfinished(job) and not objects.terminating(job)]
    known = {name_of(job) for job in jobs}
    if live and row.phase != "Failed" and row.job not in known:
        newest = max(live, key=objects.attempt_of)
        attempt = max(row.attempt, objects.attempt_of(newest))
        row = row.model_copy(update={"job": name_of(newest), "attempt": attempt, "phase": "Pending"})
    if not row.job:  # a key that comes back: attempts that can still be seen keep their names
        row = row.model_copy(update={"attempt": max([row.attempt, *map(objects.attempt_of, jobs)])})
    return row


def _stopping(case: Case, row: StageStatus, job: Object | None, pods: Sequence[Object]) -> Step:
    """The step of a stage whose Job is to go: it waits for the Job and its pods, then starts anew."""
    job_works = job is not None and objects.unfinished(job)
    if not job_works and not any(map(objects.alive, pods)):
        return Step(rows.fresh(row), start=True)
    lost = lost_node(pods, row.name, case.now)
    if lost is not None:
        row = row.model_copy(update={"reason": lost.reason, "message": rows.explained(lost)})
    return Step(row, again=_STUCK_AGAIN if any(map(objects.terminating, pods)) else None)


def _without_job(case: Case, snapshot_map: SnapshotMap, row: StageStatus, pods: Sequence[Object]) -> Step:
    """The step of a stage of whose Job nothing is known."""
    if any(map(objects.alive, pods)):  # pods are seen before, or after, their Job
        return Step(row)
    if row.phase == "Running":
        return _lost(case, snapshot_map, row, gone=True)
    return Step(row, start=True)


def _lost(case: Case, snapshot_map: SnapshotMap, row: StageStatus, *, gone: bool) -> Step:
    """The step of a stage whose Job somebody else has deleted before it had ended: another one, in bounds.

    `gone`: whether the Job is; until then its pod saves its state.
    """
    start = objects.read_time(row.start_time)
    ran_long = start is not None and case.now - start >= _RAN_LONG
    counted = row.model_copy(update={"lost": 1 if ran_long else row.lost + 1})
    retries = getattr(snapshot_map.snapshot.spec.stages, row.name).retries
    if counted.lost > retries + _LOSSES:
        return Step(rows.failed(case, counted, _job_lost(case, counted)))
    if gone:
        return Step(rows.fresh(counted), start=True, lost=row.job)
    return Step(rows.stopping(counted, suspend=case.suspend))


def _job_lost(case: Case, row: StageStatus) -> Finding:
    namespace = case.who.namespace
    return Finding(
        "JobLost",
        f"Job {row.job} was deleted before it had ended, as were the {row.lost - 1} before it",
        f"find out who deletes Jobs of namespace {namespace} (a clean-up policy? `kubectl -n {namespace} get "
        "events`, the API server's audit log), except them from it, then set spec.retry to a new value",
        final=True,
    )


def _live(
    case: Case, snapshot_map: SnapshotMap, row: StageStatus, job: Object, pods: Sequence[Object]
) -> Step:
    """The step of a stage whose Job may still run."""
    counted = rows.counted(row, job, pods)
    through = objects.succeeded(pods)
    if through and objects.beside(pods[-1]):
        return Step(rows.kept(case, counted, pods), again=patience(pods[-1], case.now))
    if case.suspend and not through:
        return Step(rows.stopping(row.model_copy(update={"lost": 0}), suspend=True))
    if not through and not objects.running_now(pods) and is_outdated(case, snapshot_map, job):
        return Step(rows.stopping(counted.model_copy(update={"lost": 0}), suspend=case.suspend))
    deadline = getattr(snapshot_map.snapshot.spec.stages, row.name).active_deadline_seconds  # 0: none
    left = deadline - objects.running_seconds(pods, case.now)
    if deadline and left <= 0 and not through:
        return Step(rows.failed(case, counted, _too_long(counted, deadline)))
    finding = classify(job, pods, case.world.events, case.now, stage=row.name)
    if pods and objects.beside(pods[-1]):
        return _kept_alive(case, counted, pods, finding)
    # Where the Job is about to fail by itself, it is left alone: its pod would go, and the log with it.
    if finding is not None and finding.final and not objects.fails_its_job(pods):
        return Step(rows.failed(case, counted, finding))
    is_held = bool(objects.condition(job, "Suspended")) and not any(map(objects.alive, pods))
    if objects.started(pods) is None or is_held:
        if finding is None and _is_young(pods, case.now):
            counted = row
        return Step(rows.waiting(counted, job, finding), again=_STARTING_AGAIN)
    again = _look_again(pods, left if deadline else None)
    if through:  # the Job says so in a moment, and that is the news
        return Step(row, again=again)
    brief = _BRIEF.total_seconds() - objects.running_seconds(pods, case.now)
    if brief > 0 and finding is None and _is_unremarkable(case, row, pods):
        return Step(row, again=min(brief, again or brief))
    return Step(rows.running(case, counted, pods, finding), again=again)


def _is_unremarkable(case: Case, row: StageStatus, pods: Sequence[Object]) -> bool:
    """Whether nobody waits to hear that a stage has started: its request runs, and it has no progress yet."""
    has_progress = any(objects.uid_of(pod) in case.world.progress for pod in pods)
    return row.phase == "Pending" and bool(case.old.start_time) and not has_progress


def _kept_alive(case: Case, row: StageStatus, pods: Sequence[Object], finding: Finding | None) -> Step:
    """The step of a stage whose container has failed in a pod that others keep alive.

    The Job controller counts a pod only once it has ended, so the pod is deleted: then it is counted, and
    tried again, as any other.
    """
    pod = pods[-1]
    left = patience(pod, case.now)
    finding = rows.with_keepers(finding, pod)
    if not left and (finding.final or objects.fails_its_job(pods)):
        return Step(rows.failed(case, row, replace(finding, final=True)))
    running = rows.running(case, row, pods, finding)
    if left or objects.terminating(pod):
        return Step(running, again=left or _STUCK_AGAIN)
    return Step(running, again=_STUCK_AGAIN, ends=(Delete(name_of(pod), uid_of(pod)),))


def _is_young(pods: Sequence[Object], now: datetime) -> bool:
    """Whether the newest pod was created just now."""
    if not pods:
        return False
    created = objects.read_time(objects.created(pods[-1])) or now
    return now - created < _BRIEF


def _look_again(pods: Sequence[Object], left: float | None) -> float | None:
    """Seconds after which a stage that runs is looked at again. `left`: until its deadline."""
    waits = []
    if left is not None and objects.running_now(pods):
        waits.append(left)
    if any(map(objects.terminating, pods)):
        waits.append(_STUCK_AGAIN)
    return min(waits, default=None)


def _too_long(row: StageStatus, deadline: int) -> Finding:
    return Finding(
        "DeadlineExceeded",
        f"the stage has run for its activeDeadlineSeconds ({deadline})",
        f"raise spec.stages.{row.name}.activeDeadlineSeconds; the next attempt continues from what is saved",
        pod=row.pod,
        final=True,
    )
