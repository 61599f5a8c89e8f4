"""Starts training as several processes, one for each GPU, and ends as the stage ends.

    python -m tunesmith_jobs.train.launch --processes=4 --request FILE --store URL [--work DIR]

In place of torchrun, which ends with 1 whatever its processes ended with, so that nobody could tell bad data from a lost store. A signal
goes to all processes. If one fails, its exit code and result are those of the stage, and the others are ended.
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

_POLL_SECONDS = 0.1
_GRACE_SECONDS = (
    10.0  # for the others once one has decided how it ends: they wait for it, and have nothing to save
)
_SETTLE_SECONDS = 1.0  # in which processes that lost one of their number have crashed too
_SIGNALLED = 128
_TOLD = (ExitCode.STOPPED, ExitCode.INTERRUPTED)


def main(argv: Sequence[str]) -> int:
    """Run all processes to their end; returns the stage's exit code."""
    if (
        not argv
        or not argv[0].startswith("--processes=")
        or not (count := argv[0].partition("=")[2]).isdecimal()
        or int(count) < 1
    ):
        print(
            "usage: python -m tunesmith_jobs.train.launch --processes=N --request FILE --store URL [--work DIR]",
            file=sys.stderr,
        )
        return ExitCode.USAGE
    with tempfile.TemporaryDirectory(prefix="tunesmith-launch-") as folder:
        return _Launch(argv[1:], int(count), Path(folder)).run()


class _Launch:
    def __init__(self, arguments: Sequence[str], processes: int, folder: Path) -> None:
        self._results = [folder / f"result-{rank}" for rank in range(processes)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._codes: dict[int, int] = {}  # by rank, in the order in which they ended
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        port = _free_port()
        for rank, result in enumerate(self._results):
            result.touch()
            self._running[rank] = subprocess.Popen(
                [sys.executable, "-m", "tunesmith_jobs.train", *_arguments(arguments, rank)],
                env=environment(os.environ, rank, processes, port) | {TERMINATION_LOG_FILE: str(result)},
                stdin=subprocess.DEVNULL,
                stdout=None
                if rank == 0
                else subprocess.DEVNULL,  # the leader alone speaks; faults are on standard error
            )

    def run(self) -> int:
        """Wait for all; once one has failed, end those that are left."""
        failed, rank = None, None
        while self._running:
            self._look()
            now = time.monotonic()
            if failed is None and decides(self._codes) is not None:
                failed = now
            if rank is None and failed is not None and now - failed > _SETTLE_SECONDS:
                rank = decides(self._codes)
                if (
                    self._codes[rank or 0] not in _TOLD
                ):  # else all were told, and the leader may still be saving
                    self._pass_on(signal.SIGTERM)
            if (
                rank is not None
                and self._codes[rank] not in _TOLD
                and failed is not None
                and now - failed > _GRACE_SECONDS
            ):
                self._pass_on(signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        if rank is None or self._codes[0] == ExitCode.DONE:
            rank = decides(self._codes) or 0
        self._report(rank)
        return self._codes[rank]

    def _look(self) -> None:
        for rank, process in list(self._running.items()):
            if (code := process.poll()) is not None:
                self._codes[rank] = code if code >= 0 else 128 - code
                del self._running[rank]

    def _pass_on(self, number: int, _frame: object = None) -> None:
        for process in list(self._running.values()):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def _report(self, rank: int) -> None:
        """The result of the process that counts is the stage's; the leader has printed its own already."""
        text = self._results[rank].read_text(encoding="utf-8")
        if rank and isinstance(parse(text), Result):
            print(text, flush=True)
        place = Path(os.environ.get(TERMINATION_LOG_FILE, TERMINATION_LOG))
        with contextlib.suppress(OSError):
            if text and place.exists():
                place.write_text(text, encoding="utf-8")


def decides(codes: Mapping[int, int]) -> int | None:
    """The rank whose exit code is the stage's, given those that have ended, in order; None while that is open.

    The leader, if it is done: then the result is in the store. Else who knew why it ended, before who was told to stop, before who was
    killed, before who crashed: processes that lose one of their number crash. The first of equals.
    """
    if codes.get(0) == ExitCode.DONE:
        return 0
    failed = [rank for rank, code in codes.items() if code != ExitCode.DONE]
    return min(failed, key=lambda rank: _weight(codes[rank])) if failed else None


def _weight(code: int) -> int:
    if code in _TOLD:
        return 1
    if code >= _SIGNALLED:
        return 2
    return 3 if code == ExitCode.BUG or code not in set(ExitCode) else 0


def environment(environ: Mapping[str, str], rank: int, processes: int, port: int) -> dict[str, str]:
    """What torch.distributed reads. Several processes on one machine would each take all its cores, unless told otherwise."""
    own = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": processes,
        "LOCAL_WORLD_SIZE": processes,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    return {"OMP_NUM_THREADS": str(threads), **environ, **{name: str(value) for name, value in own.items()}}


def _arguments(arguments: Sequence[str], rank: int) -> list[str]:
    """Followers get a scratch folder of their own below the leader's."""
    found = list(arguments)
    if rank and "--work" in found[:-1]:
        place = found.index("--work") + 1
        found[place] = str(Path(found[place]) / f"rank-{rank}")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
