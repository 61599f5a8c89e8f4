"""One stage: tried, watched, stopped, tried again where that can help."""

import collections
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tunesmith import events
from tunesmith.errors import ExitCode
from tunesmith.events import Result
from tunesmith_cli.local.events import Ended, Line, Listener, Note, Started
from tunesmith_cli.local.processes import StageProcess, start
from tunesmith_cli.local.stopping import Stopping

TAIL_LINES = 15
GRACE_SECONDS = 60.0  # from the deadline until the process is ended
_POLL_SECONDS = 0.2
_CODES = frozenset(int(code) for code in ExitCode)


@dataclass(frozen=True)
class StageJob:
    """What to start, and how often. `deadline`: seconds the stage may run in all, 0 for no limit."""

    stage: str
    command: Sequence[str]
    env: Mapping[str, str]
    work: Path
    log: Path
    retries: int
    deadline: float
    backoff: Callable[[int], float]
    inherit: Sequence[int] = ()


@dataclass
class _Seen:
    """What one attempt showed."""

    code: int
    result: Result | None
    tail: tuple[str, ...]
    late: bool


def work_off(job: StageJob, stopping: Stopping, tell: Listener) -> Ended | None:
    """Run a stage until it is done (None) or there is nothing more to try (how it ended)."""
    begun = time.monotonic()
    attempt = kills = 0
    while True:
        attempt += 1
        tell(Started(stage=job.stage, attempt=attempt))
        seen = _attempt(job, stopping, tell, begun + job.deadline if job.deadline else None, attempt)
        if seen.code == ExitCode.DONE:
            return None
        if stopping.asked:
            return _stopped(job, stopping, seen)
        kills += seen.code == -signal.SIGKILL
        if not _again(seen, kills) or attempt > job.retries:
            return _ended(job, seen)
        pause = job.backoff(attempt)
        cause = seen.result.message if seen.result else _without_result(job.stage, seen.code)
        tell(Note(text=f"{job.stage}: {cause}\ntry {attempt + 1} of {job.retries + 1} in {pause:.0f} s"))
        if stopping.wait(pause):
            return _stopped(job, stopping, seen)


def _again(seen: _Seen, kills: int) -> bool:
    """Whether another try can help: never for what ends the same way, and only once for a process that the system killed."""
    if seen.late or seen.code == ExitCode.STOPPED or seen.code == -signal.SIGTERM:
        return False
    if seen.code in _CODES and ExitCode(seen.code).final:
        return False
    return kills <= 1


def _attempt(
    job: StageJob, stopping: Stopping, tell: Listener, deadline: float | None, attempt: int
) -> _Seen:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    job.work.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8") as log:
        log.write(f"--- {time.strftime('%Y-%m-%dT%H:%M:%S%z')} {job.stage}, try {attempt}\n")
        process = start(job.command, job.env, job.work, job.inherit)
        try:
            return _watch(process, job, stopping, tell, deadline, log)
        finally:
            process.close()


def _watch(
    process: StageProcess,
    job: StageJob,
    stopping: Stopping,
    tell: Listener,
    deadline: float | None,
    log: IO[str],
) -> _Seen:
    tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
    result: Result | None = None
    told: float | None = None
    late = False
    while not process.through:
        now = time.monotonic()
        late = late or (deadline is not None and now > deadline)
        if stopping.forced or (late and told is not None and now > told + GRACE_SECONDS):
            process.kill()
        elif told is None and (stopping.asked or late):
            told = now
            process.stop()
            why = (
                f"{job.stage} ran for {job.deadline:.0f} s, its activeDeadlineSeconds" if late else "stopping"
            )
            tell(Note(text=f"{why}: {job.stage} saves what it has … (Ctrl-C again ends it at once)"))
        item = process.line(_POLL_SECONDS)
        if item is None:
            continue
        is_stdout, text = item
        event = events.parse(text) if is_stdout else None
        if isinstance(event, Result):
            result = event
        elif event is not None:
            tell(event)
        else:
            tail.append(text)
            log.write(text + "\n")
            log.flush()
            tell(Line(stage=job.stage, text=text))
    if result is not None:
        tell(result)
    return _Seen(process.popen.wait(), result, tuple(tail), late)


def _stopped(job: StageJob, stopping: Stopping, seen: _Seen) -> Ended:
    code = ExitCode.INTERRUPTED if stopping.code is None else stopping.code
    if stopping.forced:
        message = (
            f"{job.stage} was ended before it had saved its state; what it had saved earlier is in the store"
        )
    else:
        message = seen.result.message if seen.result and seen.result.message else f"{job.stage} has stopped"
    remedy = "run the same command again to go on from there"
    return Ended(
        exit_code=code, reason="Stopped", message=message, remedy=remedy, stage=job.stage, log=str(job.log)
    )


def _ended(job: StageJob, seen: _Seen) -> Ended:
    if seen.late:
        return Ended(
            exit_code=ExitCode.TRY_AGAIN,
            reason="DeadlineExceeded",
            message=f"{job.stage} ran longer than the {job.deadline:.0f} s of stages.{job.stage}.activeDeadlineSeconds",
            remedy="run again to go on from what is saved, or raise the limit",
            stage=job.stage,
            log=str(job.log),
            tail=seen.tail,
        )
    code = (
        seen.code
        if seen.code in _CODES
        else ExitCode.STOPPED
        if seen.code == -signal.SIGTERM
        else ExitCode.BUG
    )
    result = seen.result
    return Ended(
        exit_code=code,
        reason=result.reason if result else "Killed" if seen.code < 0 else "NoResult",
        message=result.message if result else _without_result(job.stage, seen.code),
        remedy=result.remedy if result else "see the log; run again to go on from what is saved",
        stage=job.stage,
        log=str(job.log),
        tail=_before_failure(job.stage, seen),
    )


def _before_failure(stage: str, seen: _Seen) -> tuple[str, ...]:
    """The last lines, without those in which the stage itself says what its result says."""
    said = f"{stage}: {seen.result.message.partition(chr(10))[0]}" if seen.result else None
    return seen.tail[: seen.tail.index(said)] if said in seen.tail else seen.tail


def _without_result(stage: str, code: int) -> str:
    if code == -signal.SIGKILL:
        return f"{stage} was killed by the system, most often because memory ran out"
    if code < 0:
        return f"{stage} was ended by signal {-code}"
    return f"{stage} ended with exit code {code} and said no result"
