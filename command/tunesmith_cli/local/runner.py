"""Runs a plan as processes on this machine, until all its stages are done, one fails, or somebody says stop.

The store says what is done; so a run that was stopped or killed goes on where it was, and what is finished is never run again.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith import gate
from tunesmith.changes import changes
from tunesmith.errors import ExitCode, Gone, TunesmithError
from tunesmith.manifest import Manifest
from tunesmith.plan import next_stages
from tunesmith.resolve import Snapshot, StageKey
from tunesmith_cli.local.attempts import StageJob, work_off
from tunesmith_cli.local.environment import ENVIRONMENT, stage_environment
from tunesmith_cli.local.events import Begun, Ended, Event, Line, Listener, event_line
from tunesmith_cli.local.places import RunPlace
from tunesmith_cli.local.processes import Toolbox
from tunesmith_cli.local.stopping import Stopping
from tunesmith_cli.local.store import RunStore, snapshot_file


@dataclass
class Runner:
    """One `tunesmith run`. `before`: what the run was last asked to do; `tell` hears what happens; `done`: the finished stages."""

    snapshot: Snapshot
    before: Snapshot | None
    store: RunStore
    place: RunPlace
    environ: Mapping[str, str]
    toolbox: Toolbox
    tell: Listener
    done: dict[str, Manifest] = field(default_factory=dict)
    reused: tuple[str, ...] = ()
    followed: bool = False  # another process ran it

    def run(self, lock: int, only: str | None = None) -> Ended:
        """Run what is not done. `lock`: descriptor of the held lock. Known faults come back as the end, not as exceptions."""
        stopping = Stopping()
        with (
            self.place.events.open("w", encoding="utf-8") as journal,
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
                shutil.rmtree(self.place.work, ignore_errors=True)
            tell(end)
        return end

    def _run(self, lock: int, only: str | None, stopping: Stopping, tell: Listener, request: Path) -> Ended:
        self.done = self.store.manifests(self.snapshot)
        self.reused = tuple(entry.name for entry in self.snapshot.stages if entry.name in self.done)
        tell(
            Begun(
                run=self.snapshot.run,
                store=self.store.url,
                pid=os.getpid(),
                keys={entry.name: entry.key for entry in self.snapshot.stages},
                reused=self.reused,
                changes=tuple(self._changes()),
            )
        )
        environments = self._environments(only)
        if self.before != self.snapshot:
            self.store.keep(self.snapshot)
        finished = set(self.done)
        while not isinstance(ready := self._ready(finished, only), Ended):
            if stopping.code is not None:
                return Ended(
                    exit_code=stopping.code,
                    reason="Stopped",
                    message="stopped between two stages; all that is finished is in the store",
                    remedy="run the same command again to go on from there",
                )
            end = work_off(self._job(ready.name, environments[ready.name], lock, request), stopping, tell)
            if end is not None:
                if finished.difference(self.done):
                    with contextlib.suppress(TunesmithError):  # how it ended counts more
                        self.done = self.store.manifests(self.snapshot)
                return end
            finished.add(ready.name)
            if ready.name in ("evaluate", "deliver", only):  # its figures count, or it is the last
                self._look_again(finished)
        return ready

    def _changes(self) -> Iterator[str]:
        """What differs from what the run was last asked; where the endpoint is that the environment names is not the request's."""
        for change in changes(self.before, self.snapshot) if self.before else ():
            if change.stage or self.snapshot.provenance.get(change.path) != ENVIRONMENT:
                yield str(change)

    def _environments(self, only: str | None) -> dict[str, dict[str, str]]:
        """Of every stage that is to run: whatever is missing is said before anything is spent."""
        todo = [
            entry.name
            for entry in self.snapshot.stages
            if entry.name not in self.done and only in (None, entry.name)
        ]
        return {name: stage_environment(name, self.snapshot, self.environ) for name in todo}

    def _look_again(self, finished: set[str]) -> None:
        """Take the finished stages' manifests from the store."""
        self.done = self.store.manifests(self.snapshot)
        if missing := sorted(finished.difference(self.done)):
            raise TunesmithError(
                f"{' and '.join(missing)} ended well, and the store {self.store.url} holds no manifest of it"
            )

    def _ready(self, finished: Collection[str], only: str | None) -> StageKey | Ended:
        """The next stage; or how the run ends, since there is none."""
        ready = next_stages(
            self.snapshot.stages,
            [(entry.name, entry.key) for entry in self.snapshot.stages if entry.name in finished],
        )
        verdict = gate.verdict(self.snapshot.spec, self.done)
        if only is not None and only in self.done and only != "evaluate":
            return Ended(exit_code=ExitCode.DONE, message=f"{only} is done")
        if verdict is not None and not verdict.passed and only in (None, "evaluate", "deliver"):
            remedy = "improve data or training; or lower evaluation.gate.leastGain, which runs nothing again"
            return Ended(
                exit_code=ExitCode.BUG,
                reason="GateNotPassed",
                message=str(verdict),
                remedy=remedy,
                stage="evaluate",
            )
        if only is not None and only not in self.done and all(entry.name != only for entry in ready):
            raise Gone(
                f"{only} reads the result of {ready[0].name}, which is not done"
                if ready
                else f"this request has no stage {only}",
                reason="EarlierStageMissing",
                remedy="run without --only, or give --only the earlier stage first"
                if ready
                else "set spec.output",
            )
        if not ready or only in self.done:
            return Ended(exit_code=ExitCode.DONE, message=str(verdict) if verdict else "")
        return ready[0]

    def _job(self, name: str, env: Mapping[str, str], lock: int, request: Path) -> StageJob:
        settings = getattr(self.snapshot.spec.stages, name)
        shutil.rmtree(self.place.work, ignore_errors=True)  # what a killed stage left
        return StageJob(
            stage=name,
            command=self.toolbox.stage_command(name, request, self.store.url, self.place.work),
            env=env,
            work=self.place.work,
            log=self.place.log(name),
            retries=settings.retries,
            deadline=settings.active_deadline_seconds,
            backoff=self.toolbox.backoff,
            inherit=(lock,),
        )
