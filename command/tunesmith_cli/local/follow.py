"""Two `tunesmith run` of one run: the second follows the first, and takes over if the first is killed."""

import time
from collections.abc import Iterator

from tunesmith_cli.local import lock
from tunesmith_cli.local.folders import RunFolder
from tunesmith_cli.local.run_events import Begun, Ended, Event, Note, read_event
from tunesmith_cli.local.runner import Runner
from tunesmith_cli.local.stopping import Stopping

_POLL_SECONDS = 0.3


def run_or_follow(runner: Runner, only: str | None = None) -> Ended:
    """Run it, or follow the process that runs it already; the end either way."""
    while True:
        try:
            with lock.held(runner.folder.lock) as descriptor:
                return runner.run(descriptor, only)
        except lock.Busy as busy:
            end = _follow(runner, busy)
        if end is not None:
            runner.followed = True
            return end


def _follow(runner: Runner, busy: lock.Busy) -> Ended | None:
    """How the other process's run ended.

    None if this process is to run now: the other one is gone, or did another version of the request.
    """
    run = runner.snapshot.run
    if busy.runner_lives:
        runner.tell(Note(text=f"run {run} is running already (process {busy.pid}); following it"))
    else:
        runner.tell(Note(text=f"the runner {busy.pid} is gone; waiting for its stage to save its state"))
    keys = {entry.name: entry.key for entry in runner.snapshot.stages}
    same = True
    stopping = Stopping()
    with stopping.watching():
        for event in _events(runner.folder, stopping):
            if isinstance(event, Begun):
                same = event.keys == keys
            if isinstance(event, Ended) and not same:
                runner.tell(Note(text="that was another version of the request; now this one"))
                return _wait_for_lock(runner.folder, stopping)
            runner.tell(event)
            if isinstance(event, Ended):
                return event
    if stopping.code is not None:
        end = Ended(
            exit_code=stopping.code,
            reason="Stopped",
            message="no longer following; the other process continues",
        )
        runner.tell(end)
        return end
    runner.tell(Note(text="the process that ran it is gone; continuing from what it saved"))
    return None


def _wait_for_lock(folder: RunFolder, stopping: Stopping) -> Ended | None:
    """None once the lock is free; how this process ends if it is told to stop before."""
    while lock.holder(folder.lock) is not None:
        if stopping.code is not None:
            return Ended(
                exit_code=stopping.code,
                reason="Stopped",
                message="stopped while waiting for the other process",
            )
        time.sleep(_POLL_SECONDS)
    return None


def _events(folder: RunFolder, stopping: Stopping) -> Iterator[Event]:
    """The events of the process that runs it, until nobody holds the lock, or this one is told to stop."""
    position = 0
    while not stopping.asked:
        # Before the first look, too: a process that has just taken the lock begins a new file.
        stopping.wait(_POLL_SECONDS)
        locked = lock.holder(folder.lock) is not None
        try:
            with folder.events.open("rb") as file:
                file.seek(position if folder.events.stat().st_size >= position else 0)
                lines = file.readlines()
                position = file.tell()
        except FileNotFoundError:
            lines = []
        for number, line in enumerate(lines):
            if not line.endswith(b"\n") and number == len(lines) - 1:
                position -= len(line)  # it is still being written
            elif (event := read_event(line.decode("utf-8", "replace"))) is not None:
                yield event
        if not locked:
            return
