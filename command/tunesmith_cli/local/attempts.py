"""One stage on this machine: started, watched, stopped, and started again where that can help."""

import collections
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tunesmith import events
from tunesmith.errors import MOST_CRASHES, ExitCode
from tunesmith.events import Result
from tunesmith.plain_text import indented
from tunesmith_cli.local.processes import StageProcess, start
from tunesmith_cli.local.run_events import Ended, Line, Listener, Note, Started
from tunesmith_cli.local.stopping import Stopping

TAIL_LINES = 15
GRACE_SECONDS = 60.0  # from the deadline until the process is killed
_POLL_SECONDS = 0.2
_CODES = frozenset(int(code) for code in ExitCode)
_CONTINUE = "run the same command again to continue from there"


@dataclass(frozen=True)
class StageJob:
    """What to start, and how often. `deadline`: seconds that the stage may run in all; 0 means no limit."""

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
class AttemptEnd:
    """How an attempt ended. `tail`: the last lines it printed; `late`: it ran beyond the deadline."""

    code: int
    result: Result | None
    tail: tuple[str, ...]
    late: bool


def run_stage(job: StageJob, stopping: Stopping, tell: Listener) -> Ended | None:
    """Run a stage until it is done (None) or there is nothing more to try (how it ended)."""
    deadline = time.monotonic() + job.deadline if job.deadline else None
    number = kills = crashes = 0
    while True:
        number += 1
        tell(Started(stage=job.stage, attempt=number))
        end = _Attempt(job, stopping, tell, deadline).run(number)
        if end.code == ExitCode.DONE:
            return None
        if stopping.asked:
            return _stopped(job, stopping, end)
        kills += end.code == -signal.SIGKILL
        crashes += end.code == ExitCode.BUG or end.code < 0
        if not _may_help(end, kills, crashes) or number > job.retries:
            return _failed(job, end)
        pause = job.backoff(number)
        cause = end.result.message if end.result else _without_result(job.stage, end.code)
        tell(
            Note(
                text=f"{job.stage}: {indented(cause)}\ntry {number + 1} of {job.retries + 1} in {pause:.0f} s"
            )
        )
        if stopping.wait(pause):
            return _stopped(job, stopping, end)


def _may_help(end: AttemptEnd, kills: int, crashes: int) -> bool:
    """Whether another attempt can help.

    Never where it would end the same way, only once after the system killed the process, and not after
    MOST_CRASHES bugs and signals, kills among them.
    """
    if end.late or end.code in (ExitCode.STOPPED, -signal.SIGTERM):
        return False
    if end.code in _CODES and ExitCode(end.code).final:
        return False
    return kills <= 1 and crashes < MOST_CRASHES


class _Attempt:
    """One process of a stage. `deadline`: a moment of the monotonic clock."""

    def __init__(self, job: StageJob, stopping: Stopping, tell: Listener, deadline: float | None) -> None:
        self._job = job
        self._stopping = stopping
        self._tell = tell
        self._deadline = deadline
        self._late = False
        self._asked_to_stop: float | None = None  # when
        self._result: Result | None = None
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)

    def run(self, number: int) -> AttemptEnd:
        """Start the process and watch it until it ends."""
        job = self._job
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.work.mkdir(parents=True, exist_ok=True)
        with job.log.open("a", encoding="utf-8") as log:
            log.write(f"--- {time.strftime('%Y-%m-%dT%H:%M:%S%z')} {job.stage}, try {number}\n")
            process = start(job.command, job.env, job.work, job.inherit)
            try:
                while not process.through:
                    self._stop_if_needed(process)
                    line = process.line(_POLL_SECONDS)
                    if line is not None:
                        self._pass_on(*line, log=log)
            finally:
                process.close()
        if self._result is not None:
            self._tell(self._result)
        return AttemptEnd(process.popen.wait(), self._result, tuple(self._tail), self._late)

    def _stop_if_needed(self, process: StageProcess) -> None:
        """Ask the process to stop, or kill it, if the user or the deadline says so."""
        now = time.monotonic()
        self._late = self._late or (self._deadline is not None and now > self._deadline)
        asked = self._asked_to_stop
        if self._stopping.forced or (self._late and asked is not None and now > asked + GRACE_SECONDS):
            process.kill()
        elif asked is None and (self._stopping.asked or self._late):
            self._asked_to_stop = now
            process.stop()
            stage, deadline = self._job.stage, self._job.deadline
            why = f"{stage} ran for {deadline:.0f} s, its activeDeadlineSeconds" if self._late else "stopping"
            self._tell(Note(text=f"{why}: {stage} is saving its state … (Ctrl-C again ends it at once)"))

    def _pass_on(self, is_stdout: bool, text: str, *, log: IO[str]) -> None:  # noqa: FBT001 - of StageProcess.line
        """Take up a line that the process printed."""
        event = events.parse(text) if is_stdout else None
        if isinstance(event, Result):
            self._result = event
        elif event is not None:
            self._tell(event)
        else:
            self._tail.append(text)
            log.write(text + "\n")
            log.flush()
            self._tell(Line(stage=self._job.stage, text=text))


def _stopped(job: StageJob, stopping: Stopping, end: AttemptEnd) -> Ended:
    message = f"{job.stage} has stopped"
    if stopping.forced:
        message = (
            f"{job.stage} was ended before it had saved its state; what it saved earlier is in the store"
        )
    elif end.result and end.result.message:
        message = end.result.message
    return Ended(
        exit_code=ExitCode.INTERRUPTED if stopping.code is None else stopping.code,
        reason="Stopped",
        message=message,
        remedy=_CONTINUE,
        stage=job.stage,
        log=str(job.log),
    )


def _failed(job: StageJob, end: AttemptEnd) -> Ended:
    if end.late:
        field = f"stages.{job.stage}.activeDeadlineSeconds"
        return Ended(
            exit_code=ExitCode.TRY_AGAIN,
            reason="DeadlineExceeded",
            message=f"{job.stage} ran longer than the {job.deadline:.0f} s of {field}",
            remedy="run again to continue from what is saved, or raise the limit",
            stage=job.stage,
            log=str(job.log),
            tail=end.tail,
        )
    if end.result is not None:
        reason, message, remedy = end.result.reason, end.result.message, end.result.remedy
    else:
        reason = "Killed" if end.code < 0 else "NoResult"
        message = _without_result(job.stage, end.code)
        remedy = "see the log; run again to continue from what is saved"
    return Ended(
        exit_code=_exit_code(end.code),
        reason=reason,
        message=message,
        remedy=remedy,
        stage=job.stage,
        log=str(job.log),
        tail=_before_failure(job.stage, end),
    )


def _exit_code(code: int) -> int:
    """The exit code of the command for that of a stage's process."""
    if code in _CODES:
        return code
    return ExitCode.STOPPED if code == -signal.SIGTERM else ExitCode.BUG


def _before_failure(stage: str, end: AttemptEnd) -> tuple[str, ...]:
    """The last lines, up to the one in which the stage itself says what its result says."""
    if end.result is None:
        return end.tail
    failure = f"{stage}: {end.result.message.partition(chr(10))[0]}"
    return end.tail[: end.tail.index(failure)] if failure in end.tail else end.tail


def _without_result(stage: str, code: int) -> str:
    if code == -signal.SIGKILL:
        return f"{stage} was killed by the system, most often because memory ran out"
    if code < 0:
        return f"{stage} was ended by signal {-code}"
    return f"{stage} ended with exit code {code} and gave no result"
