"""Starts training as several processes, one for each GPU, and ends as the stage ends.

    python -m tunesmith_jobs.train.launch --processes=4 --request FILE --store URL [--work DIR]

It stands in for torchrun, which ends with 1 whatever its processes ended with, so that bad data and a lost
store would look alike. A signal goes to all processes. If one of them fails, its exit code and result become
those of the stage, and the others are ended.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunesmith.errors import ExitCode
from tunesmith.events import Result, parse
from tunesmith.wire import TERMINATION_LOG, TERMINATION_LOG_FILE

_USAGE = "usage: python -m tunesmith_jobs.train.launch --processes=N --request FILE --store URL [--work DIR]"
_POLL_SECONDS = 0.1
_SETTLE_SECONDS = 1.0  # until processes that wait for one that has ended have crashed too
_GRACE_SECONDS = (
    10.0  # after a failure, for the others: they wait for the failed one, and have nothing to save
)
_SIGNALLED = 128
_TOLD = (ExitCode.STOPPED, ExitCode.INTERRUPTED)


def main(argv: Sequence[str]) -> int:
    """Run all processes to their end; returns the stage's exit code."""
    count = _processes(argv)
    if count is None:
        print(_USAGE, file=sys.stderr)
        return ExitCode.USAGE
    with tempfile.TemporaryDirectory(prefix="tunesmith-launch-") as folder:
        return _Launch(argv[1:], count, Path(folder)).run()


def _processes(argv: Sequence[str]) -> int | None:
    """The number in `--processes=N`, which must come first; None if there is no such number."""
    if not argv or not argv[0].startswith("--processes="):
        return None
    number = argv[0].partition("=")[2]
    if not number.isdecimal() or int(number) < 1:
        return None
    return int(number)


class _Launch:
    """All processes of one training."""

    def __init__(self, arguments: Sequence[str], count: int, folder: Path) -> None:
        self._results = [folder / f"result-{rank}" for rank in range(count)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._codes: dict[int, int] = {}  # by rank, in the order in which they ended
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        port = _free_port()
        for rank in range(count):
            self._start(rank, arguments, environment(os.environ, rank, count, port))

    def _start(self, rank: int, arguments: Sequence[str], env: dict[str, str]) -> None:
        result = self._results[rank]
        result.touch()
        self._running[rank] = subprocess.Popen(
            [sys.executable, "-m", "tunesmith_jobs.train", *_arguments(arguments, rank)],
            env=env | {TERMINATION_LOG_FILE: str(result)},
            stdin=subprocess.DEVNULL,
            # The leader alone prints; faults are on standard error.
            stdout=None if rank == 0 else subprocess.DEVNULL,
        )

    def run(self) -> int:
        """Wait for all processes. Once one has failed, end those that are left."""
        failed_at: float | None = None
        decisive: int | None = None  # the rank whose failure is the stage's, once that is settled
        while self._running:
            self._collect()
            if failed_at is None and decides(self._codes) is not None:
                failed_at = time.monotonic()
            if failed_at is not None:
                waited = time.monotonic() - failed_at
                if decisive is None and waited > _SETTLE_SECONDS:
                    decisive = decides(self._codes)
                    self._end_others(decisive, signal.SIGTERM)
                elif waited > _GRACE_SECONDS:
                    self._end_others(decisive, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        if decisive is None or self._codes[0] == ExitCode.DONE:
            decisive = decides(self._codes) or 0
        self._report(decisive)
        return self._codes[decisive]

    def _collect(self) -> None:
        """Note the exit codes of processes that have ended."""
        for rank, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                self._codes[rank] = code if code >= 0 else _SIGNALLED - code
                del self._running[rank]

    def _end_others(self, decisive: int | None, number: signal.Signals) -> None:
        """End those that are left, unless all were told to stop: then the leader may still be saving."""
        if decisive is not None and self._codes[decisive] not in _TOLD:
            self._pass_on(number)

    def _pass_on(self, number: int, _frame: object = None) -> None:
        for process in list(self._running.values()):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def _report(self, rank: int) -> None:
        """Make the result of one process the stage's; the leader has printed its own already."""
        text = self._results[rank].read_text(encoding="utf-8")
        if rank and isinstance(parse(text), Result):
            print(text, flush=True)
        place = Path(os.environ.get(TERMINATION_LOG_FILE, TERMINATION_LOG))
        with contextlib.suppress(OSError):
            if text and place.exists():
                place.write_text(text, encoding="utf-8")


def decides(codes: Mapping[int, int]) -> int | None:
    """The rank whose exit code is the stage's, given those that have ended, in order; None while that is
    open.

    It is the leader's if the leader is done: then the result is in the store. Otherwise it is that of a
    process that knew why it ended, before one that was told to stop, before one that was killed, before one
    that crashed: processes whose peer is gone crash. Of equals, the first.
    """
    if codes.get(0) == ExitCode.DONE:
        return 0
    failed = [rank for rank, code in codes.items() if code != ExitCode.DONE]
    return min(failed, key=lambda rank: _order(codes[rank])) if failed else None


def _order(code: int) -> int:
    if code in _TOLD:
        return 1
    if code >= _SIGNALLED:
        return 2
    if code == ExitCode.BUG or code not in set(ExitCode):
        return 3
    return 0


def environment(environ: Mapping[str, str], rank: int, count: int, port: int) -> dict[str, str]:
    """The environment of a process, with what torch.distributed reads.

    Processes share the machine's cores: each would take all of them, unless OMP_NUM_THREADS says otherwise.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    return {
        "OMP_NUM_THREADS": str(threads),
        **environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def _arguments(arguments: Sequence[str], rank: int) -> list[str]:
    """The stage's arguments. A follower gets a scratch folder of its own below the leader's."""
    changed = list(arguments)
    if rank and "--work" in changed[:-1]:
        place = changed.index("--work") + 1
        changed[place] = str(Path(changed[place]) / f"rank-{rank}")
    return changed


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
