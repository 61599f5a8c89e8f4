"""Stages and questions to the store as processes: started, read, stopped."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

BACKOFF_SECONDS = 5.0
BACKOFF_LONGEST_SECONDS = 120.0
_LAST_OUTPUT_SECONDS = 2.0


def module_command(module: str, *arguments: str) -> list[str]:
    """`python -m tunesmith_jobs.<module> …` with this Python."""
    return [sys.executable, "-m", f"tunesmith_jobs.{module}", *arguments]


def stage_command(stage: str, request: Path, store: str, work: Path) -> list[str]:
    """The command of a stage's process."""
    return module_command(stage, "--request", str(request), "--store", store, "--work", str(work))


def backoff(failures: int) -> float:
    """Seconds to wait before the next attempt, after so many failures."""
    return min(BACKOFF_SECONDS * 2.0 ** (failures - 1), BACKOFF_LONGEST_SECONDS)


@dataclass(frozen=True)
class Toolbox:
    """What the runner starts, and how long it waits; tests give others."""

    stage_command: Callable[[str, Path, str, Path], list[str]] = stage_command
    module_command: Callable[..., list[str]] = module_command
    backoff: Callable[[int], float] = backoff


Output = queue.SimpleQueue[tuple[bool, str]]  # whether a line is from stdout, and the line


@dataclass
class StageProcess:
    """A stage that runs, in a process group of its own: a Ctrl-C reaches only the runner, which then asks it
    to stop.

    It inherits the lock: should the runner be killed, the run stays locked until the stage has saved its
    state and ended.
    """

    popen: "subprocess.Popen[bytes]"
    output: "Output" = field(default_factory=queue.SimpleQueue)
    readers: list[threading.Thread] = field(default_factory=list)

    def line(self, seconds: float) -> tuple[bool, str] | None:
        """Whether the next line is from stdout, and the line; None if none comes within the time."""
        try:
            return self.output.get(timeout=seconds)
        except queue.Empty:
            return None

    @property
    def through(self) -> bool:
        """Whether it has ended and all its output was handed out.

        What a child that is left may still print is not waited for.
        """
        if self.popen.poll() is None:
            return False
        for reader in self.readers:
            reader.join(_LAST_OUTPUT_SECONDS)
        return self.output.empty()

    def close(self) -> None:
        """Leave nothing behind: no process, no open pipe."""
        if self.popen.poll() is None:
            self.kill()
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    def stop(self) -> None:
        """Ask it to save its state and end."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and what it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


def start(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, inherit: Sequence[int] = ()
) -> StageProcess:
    """Start a stage. `inherit`: file descriptors that it keeps open."""
    popen = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # its end tells the stage that the runner is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
        pass_fds=tuple(inherit),
    )
    process = StageProcess(popen)
    for is_stdout, stream in ((True, popen.stdout), (False, popen.stderr)):
        assert stream is not None
        reader = threading.Thread(target=_read, args=(stream, is_stdout, process.output), daemon=True)
        reader.start()
        process.readers.append(reader)
    return process


def _read(stream: IO[bytes], is_stdout: bool, output: "Output") -> None:  # noqa: FBT001 - a thread's argument
    for line in stream:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        output.put((is_stdout, text.rsplit("\r", 1)[-1]))  # the last state of a bar that redraws itself
