"""The demo: `python -m tunesmith_tryout.demo [arguments of tunesmith run]`, which `make demo` calls.

It takes a small real model and a teacher, and runs `tunesmith run examples/quickstart.yaml`. With
OPENAI_API_KEY set, the teacher is the real API; without, it is scripted: a loopback server that composes its
answers from a grammar. Nothing is hidden: each command is shown.
"""

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

MODEL_COMMAND = [
    sys.executable,
    "-m",
    "tunesmith_tryout.demo_model",
    "--to",
    "examples/models/SmolLM2-135M-Instruct",
]
REQUEST = Path("examples/quickstart.yaml")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SCRIPTED = """\
------------------------------------------------------------------------------
 The teacher is SCRIPTED: a program on this machine, not a language model. It
 composes its answers from a grammar made for this demo's task. Everything
 else is real: model, training, merge, evaluation.
 For a real teacher, set OPENAI_API_KEY.
------------------------------------------------------------------------------"""


def main(arguments: Sequence[str]) -> int:
    """Run the demo from the repository's root; returns the exit code of `tunesmith run`."""
    began = time.monotonic()
    if not REQUEST.exists():
        print(f"demo: no {REQUEST} here; start it from the repository's root", file=sys.stderr)
        return 64
    code = _call(MODEL_COMMAND, os.environ)
    if code:
        return code
    command = [sys.executable, "-m", "tunesmith_cli", "run", str(REQUEST), *arguments]
    if os.environ.get("OPENAI_API_KEY"):
        place = os.environ.get("OPENAI_BASE_URL") or "api.openai.com"
        print(f"The teacher is the API at {place}, with your OPENAI_API_KEY.")
        code = _call(command, os.environ)
    else:
        print(_SCRIPTED, flush=True)
        with _scripted_teacher() as url:
            code = _call(
                [*command, "--set", "data.teacher.model=scripted"],
                {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "scripted"},
            )
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    failure = f" It ended with exit code {code}." if code else ""
    print(f"\nThe demo took {minutes}:{seconds:02} in all.{failure}")
    return code


@contextmanager
def _scripted_teacher() -> Iterator[str]:
    """The scripted teacher's URL while it runs.

    Its process group is one that a Ctrl-C does not reach: the run needs the teacher until it has stopped
    itself.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tunesmith_tryout.scripted_teacher", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one thread
    )
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        if not words:
            raise SystemExit(f"demo: the scripted teacher did not start (exit code {process.wait()})")
        print(f"scripted teacher at {words[-1]}", flush=True)
        yield words[-1]
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    """In the child: ask Linux for a SIGTERM when the demo is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _call(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Show a command and run it with this terminal; returns its exit code.

    A Ctrl-C reaches it by the terminal; a SIGTERM is passed on.
    """
    shown = ["python" if word == sys.executable else word for word in command]
    print(f"$ {shlex.join(shown)}", flush=True)
    process = subprocess.Popen(command, env=dict(env))
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
