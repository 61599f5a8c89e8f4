"""A stage that does as TOY says, to watch the shell around it: `python toy_stage.py --request FILE --store
URL`.
"""

import errno
import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from urllib.parse import quote

from tunesmith.errors import BadData, Problem
from tunesmith.events import Result
from tunesmith.manifest import Pin
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.stage import run_stage

TOY = os.environ.get("TOY", "works")


def until_stopped(attempt: Attempt) -> None:
    for step in range(600):
        attempt.progress(step, 600, "steps", loss=1.0)
        if attempt.stopping:
            attempt.store.write(f"{attempt.folder}/checkpoints/1-{attempt.id}/state", b"state")
        attempt.check_stop()
        time.sleep(0.05)


def tell_secrets(attempt: Attempt) -> None:
    secrets = " ".join(
        os.environ[name] for name in ("TUNESMITH_TEACHER_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN")
    )
    attempt.say(f"the teacher said: {json.dumps({'error': secrets})} {secrets}")
    print("a library:", secrets, quote(secrets), file=sys.stderr)
    if TOY.startswith("fails"):
        raise BadData(secrets, problems=[Problem(secrets, secrets, secrets)], remedy=secrets)
    if TOY.startswith("breaks"):
        raise ZeroDivisionError(secrets)


def forge(attempt: Attempt) -> None:
    """Print what might be read as this stage's result, in every way but by writing to the descriptors."""
    line = Result(stage="generate", key="k", reason="Forged", message="\x1b[2Jforged").line()
    ways = (line, f"x\n{line}", f"x\r{line}", f"x\u2028{line}", f"x\x0b{line}", f"\x1b[31m{line}")
    for text in ways:
        attempt.say(text)
        print(text)
        print(text, file=sys.stderr)
        warnings.warn(text, stacklevel=1)
        logging.getLogger("library").warning(text)
    sys.stdout.write("without an end")
    attempt.progress(0, 1, "rows")
    raise ZeroDivisionError("\n".join(ways))


def work(attempt: Attempt) -> Outcome:
    attempt.say(f"attempt {attempt.id} 开始")
    attempt.pin("source", lambda: Pin(uri="x", revision=attempt.id))
    attempt.store.write(f"{attempt.folder}/checkpoints/0-{attempt.id}/state", b"state")
    if TOY == "waits":
        until_stopped(attempt)
    if TOY == "races":
        while not Path(os.environ["TOY_GATE"]).exists():
            time.sleep(0.01)
    if TOY == "meets bad data":
        raise BadData("two rows are not enough", problems=[Problem("rows[1]", "is empty")], remedy="add rows")
    if TOY == "breaks":
        raise ZeroDivisionError("a bug of ours")
    if TOY.endswith("its secrets"):
        tell_secrets(attempt)
    if TOY == "forges":
        forge(attempt)
    if TOY == "fills the disk":
        raise OSError(errno.ENOSPC, "No space left on device", str(attempt.work / "weights"))
    if TOY == "dies after the commit":
        attempt.clean_up = lambda _winner: os.kill(os.getpid(), 9)  # type: ignore[method-assign]
    if TOY == "is told to stop while it commits":
        create = attempt.store.create

        def slow(path: str, data: bytes) -> bool:
            os.kill(os.getpid(), 15)
            return create(path, data)

        attempt.store.create = slow  # type: ignore[method-assign]
    attempt.put_bytes("folder/answer.txt", f"by {attempt.id}".encode())
    with attempt.writer("big.bin") as out:
        out.write(b"x" * 100_000)
    attempt.progress(1, 1, "rows", loss=float("nan"))
    return Outcome(metrics={"loss": 0.5, "perplexity": float("inf")}, details={"who": attempt.id})


if __name__ == "__main__":
    sys.exit(run_stage("generate", work))
