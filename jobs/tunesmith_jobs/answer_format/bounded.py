"""Checks answers in a process of its own, which is killed when one takes too long."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Format

START_SECONDS = 60.0  # to start, and to read schema or regular expression
EACH_SECONDS = 5.0
ALL_SECONDS = 300.0
_COMMAND = (sys.executable, "-m", "tunesmith_jobs.answer_format")


@dataclass
class AnswerCheck:
    """Says what is wrong with an answer's form: `check(answer)`; empty if nothing is.

    An answer whose check takes longer than `each` seconds, or that comes after `in_all` seconds of checks, is
    given up: it counts as one without the form.
    """

    wanted: Format
    each: float = EACH_SECONDS
    in_all: float = ALL_SECONDS
    given_up: int = 0
    _spent: float = 0.0
    _process: "subprocess.Popen[bytes] | None" = None
    _read: bytearray = field(default_factory=bytearray)

    def start(self) -> None:
        """Start the process. Raises BadRequest if answers cannot be checked against what is wanted."""
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for the stage, which stops it
        )
        self._read.clear()
        self._tell(self.wanted.model_dump_json(by_alias=True))
        problems = self._answer(START_SECONDS)
        if problems is None:
            self.close()
            problem = Problem("spec.evaluation.format", f"takes more than {START_SECONDS:g} s to read")
            raise BadRequest("the format of the answers cannot be checked", problems=[problem])
        if problems:
            self.close()
            raise BadRequest(
                "the format of the answers cannot be checked",
                reason=problems[0][2],
                problems=[Problem(path, why) for path, why, _ in problems],
            )

    def close(self) -> None:
        """End the process, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # an answer that was not read
                    pipe.close()

    def __call__(self, answer: str) -> str:
        """What is wrong with an answer's form, or that it could not be checked; empty if nothing is wrong."""
        if self._spent >= self.in_all:
            self.given_up += 1
            return f"not checked, as the checks before took {self.in_all:g} s"
        began = time.monotonic()
        if self._process is None:
            self.start()
        self._tell(json.dumps(answer))
        error = self._answer(self.each)
        self._spent += time.monotonic() - began
        if error is None:
            self.close()
            self.given_up += 1
            return f"not checked, as that takes more than {self.each:g} s"
        return str(error)

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and does not answer either
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self, seconds: float) -> Any:
        """The next line that it says; None if there is none in time, or it has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        out = self._process.stdout.fileno()
        deadline = time.monotonic() + seconds
        while b"\n" not in self._read:
            ready, _, _ = select.select([out], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(out, 1 << 16) if ready else b""
            if not more:
                return None
            self._read += more
        line, _, rest = self._read.partition(b"\n")
        self._read = bytearray(rest)
        return json.loads(line)


@contextlib.contextmanager
def answer_check(
    wanted: Format | None, *, each: float = EACH_SECONDS, in_all: float = ALL_SECONDS
) -> Iterator[AnswerCheck | None]:
    """The check of answers while a block runs; None if no form is asked for. Raises BadRequest at once."""
    if wanted is None:
        yield None
        return
    check = AnswerCheck(wanted, each, in_all)
    try:
        check.start()
        yield check
    finally:
        check.close()
