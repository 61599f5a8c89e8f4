"""Runs a plan as processes on this machine, until all its stages are done, one fails, or it is told to stop.

The store says what is done; so a run that was stopped or killed continues where it was, and a finished stage
never runs again.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith import cost, cost_text, gate
from tunesmith.changes import changes
from tunesmith.errors import BadRequest, ExitCode, Gone, Problem, TunesmithError
from tunesmith.manifest import Manifest
from tunesmith.plan import next_stages
from tunesmith.resolve import Snapshot, StageKey, unknown_stages
from tunesmith.stages import AFTER_GATE, JUDGED, STAGES
from tunesmith.wire import GATE_NOT_PASSED, OVER_BUDGET
from tunesmith_cli.local.attempts import StageJob, run_stage
from tunesmith_cli.local.environment import ENVIRONMENT, stage_environment
from tunesmith_cli.local.folders import RunFolder
from tunesmith_cli.local.processes import Toolbox
from tunesmith_cli.local.run_events import Begun, Ended, Event, Line, Listener, event_line
from tunesmith_cli.local.stopping import Stopping
from tunesmith_cli.local.store import RunStore, snapshot_file

GENERATE = "generate"


@dataclass
class Runner:
    """One `tunesmith run`.

    `before`: what the run was last asked to do; `tell` hears what happens; `over_budget`: start, even if the
    budget can't be enough; `done`: the finished stages; `followed`: another process ran it.
    """

    snapshot: Snapshot
    before: Snapshot | None
    store: RunStore
    folder: RunFolder
    environ: Mapping[str, str]
    toolbox: Toolbox
    tell: Listener
    over_budget: bool = False
    done: dict[str, Manifest] = field(default_factory=dict)
    reused: tuple[str, ...] = ()
    followed: bool = False

    def run(self, lock: int, only: str | None = None) -> Ended:
        """Run what is not done.

        `lock`: descriptor of the held lock. Known failures are the end, not exceptions.
        """
        stopping = Stopping()
        with (
            self.folder.events.open("w", encoding="utf-8") as journal,
            stopping.watching(),
            snapshot_file(self.snapshot) as request,
        ):

            def tell(event: Event) -> None:
                if not isinstance(event, Line):  # those are in the stage's log
                    journal.write(event_line(event))
                    journal.flush()
                self.tell(event)

            try:
                end = self._run(lock, only, stopping, tell, request)
            except TunesmithError as error:
                lines = [error.message, *(str(problem) for problem in error.problems)]
                end = Ended(
                    exit_code=error.exit_code,
                    reason=error.reason,
                    message="\n".join(lines),
                    remedy=error.remedy,
                )
            finally:
                shutil.rmtree(self.folder.work, ignore_errors=True)
            tell(end)
        return end

    def _run(self, lock: int, only: str | None, stopping: Stopping, tell: Listener, request: Path) -> Ended:
        if unknown := unknown_stages(self.snapshot):
            raise BadRequest(
                f"this release does not know the stages {', '.join(unknown)} of run {self.snapshot.run}",
                reason="ImageTooOld",
                remedy="use the release that last ran it, or a later one",
            )
        self.done = self.store.manifests(self.snapshot)
        self.reused = tuple(entry.name for entry in self.snapshot.stages if entry.name in self.done)
        tell(self._begun(only))
        environments = self._environments(only)
        if GENERATE in environments:
            self._check_budget()
        if self.before != self.snapshot:
            self.store.keep(self.snapshot)
        finished = set(self.done)
        while True:
            stage = self._next(finished, only)
            if isinstance(stage, Ended):
                return stage
            if stopping.code is not None:
                return Ended(
                    exit_code=stopping.code,
                    reason="Stopped",
                    message="stopped between two stages; everything that is finished is in the store",
                    remedy="run the same command again to continue from there",
                )
            end = run_stage(self._job(stage.name, environments[stage.name], lock, request), stopping, tell)
            if end is not None:
                if finished.difference(self.done):
                    with contextlib.suppress(TunesmithError):  # how it ended counts more
                        self.done = self.store.manifests(self.snapshot)
                return end
            finished.add(stage.name)
            if stage.name in (
                JUDGED,
                self.snapshot.stages[-1].name,
                only,
            ):  # its figures count, or it is the last
                self._read_manifests(finished)

    def _begun(self, only: str | None) -> Begun:
        asks = GENERATE not in self.done and only in (None, GENERATE)
        return Begun(
            run=self.snapshot.run,
            store=self.store.url,
            pid=os.getpid(),
            keys={entry.name: entry.key for entry in self.snapshot.stages},
            reused=self.reused,
            changes=tuple(self._changes()),
            estimate=tuple(estimate_of(self.snapshot)) if asks else (),
        )

    def _check_budget(self) -> None:
        """Raises BadRequest if the budget cannot be enough, unless that is what the user wants."""
        if not self.over_budget and (problems := refused_limits(self.snapshot)):
            raise BadRequest(
                "the budget cannot be enough, and nothing was started",
                reason="BudgetTooSmall",
                remedy="change the request, or give --yes to start all the same",
                problems=problems,
            )

    def _changes(self) -> Iterator[str]:
        """What differs from what the run was last asked to do, but for an endpoint that the environment
        names.
        """
        for change in changes(self.before, self.snapshot) if self.before else ():
            if change.stage or self.snapshot.provenance.get(change.path) != ENVIRONMENT:
                yield str(change)

    def _environments(self, only: str | None) -> dict[str, dict[str, str]]:
        """The environment of every stage that is to run: what is missing is said before anything is spent."""
        names = [
            entry.name
            for entry in self.snapshot.stages
            if entry.name not in self.done and only in (None, entry.name)
        ]
        environments = {name: stage_environment(name, self.snapshot, self.environ) for name in names}
        if self.over_budget and GENERATE in environments:
            environments[GENERATE][OVER_BUDGET] = "1"
        return environments

    def _read_manifests(self, finished: set[str]) -> None:
        """Read the finished stages' manifests from the store."""
        self.done = self.store.manifests(self.snapshot)
        if missing := sorted(finished.difference(self.done)):
            raise TunesmithError(
                f"{' and '.join(missing)} ended well, and the store {self.store.url} holds no manifest of it"
            )

    def _next(self, finished: Collection[str], only: str | None) -> StageKey | Ended:
        """The next stage; or how the run ends, if there is none."""
        verdict = gate.verdict(self.snapshot.spec, self.done)
        if only is not None and only in self.done and only != JUDGED:
            return Ended(exit_code=ExitCode.DONE, message=f"{only} is done")
        if verdict is not None and not verdict.passed and _needs_gate(only):
            remedy = "improve data or training; or lower evaluation.gate.leastGain, which runs nothing again"
            return Ended(
                exit_code=ExitCode.BUG,
                reason=GATE_NOT_PASSED,
                message=str(verdict),
                remedy=remedy,
                stage=JUDGED,
            )
        done = [(entry.name, entry.key) for entry in self.snapshot.stages if entry.name in finished]
        ready = next_stages(self.snapshot.stages, done)
        if only is not None and only not in self.done and all(entry.name != only for entry in ready):
            raise _cannot_run(only, ready)
        if not ready or only in self.done:
            return Ended(exit_code=ExitCode.DONE, message=str(verdict) if verdict else "")
        return ready[0]

    def _job(self, name: str, env: Mapping[str, str], lock: int, request: Path) -> StageJob:
        settings = getattr(self.snapshot.spec.stages, name)
        shutil.rmtree(self.folder.work, ignore_errors=True)  # of a stage that was killed
        return StageJob(
            stage=name,
            command=self.toolbox.stage_command(name, request, self.store.url, self.folder.work),
            env=env,
            work=self.folder.work,
            log=self.folder.log(name),
            retries=settings.retries,
            deadline=settings.active_deadline_seconds,
            backoff=self.toolbox.backoff,
            inherit=(lock,),
        )


def estimate_of(snapshot: Snapshot) -> Iterator[str]:
    """What the teacher will take, with the budget beside it; nothing where none is asked."""
    found = cost.estimate(snapshot.spec)
    if found is not None:
        yield from cost_text.estimate_lines(snapshot.spec, found, cost.limits(snapshot.spec, found))


def refused_limits(snapshot: Snapshot) -> list[Problem]:
    """A problem for each limit of the budget that can't be enough."""
    found = cost.estimate(snapshot.spec)
    return list(cost_text.refusals(cost.limits(snapshot.spec, found))) if found else []


def _needs_gate(only: str | None) -> bool:
    """Whether a gate that was not passed ends a run of all stages (None) or of one."""
    return only is None or only == JUDGED or only in AFTER_GATE


def _cannot_run(only: str, ready: list[StageKey]) -> Gone:
    """Why one stage cannot run: an earlier one is missing, or the request does not have it."""
    if ready:
        return Gone(
            f"{only} reads the result of {ready[0].name}, which is not done",
            reason="EarlierStageMissing",
            remedy="run without --only, or give --only the earlier stage first",
        )
    return Gone(
        f"this request has no stage {only}",
        reason="EarlierStageMissing",
        remedy=f"set spec.{STAGES[only].asked_by}",
    )
