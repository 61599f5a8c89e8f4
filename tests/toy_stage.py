"""A stage that does as TOY says, to watch the shell around it: `python toy_stage.py --request FILE --store URL`."""

import errno
import json
import os
import sys
import time
from pathlib import Path

from tunesmith.errors import BadData, Problem
from tunesmith.manifest import Pin
from tunesmith_jobs.stage import Outcome, Stage, run_stage

TOY = os.environ.get("TOY", "works")


def until_stopped(stage: Stage) -> None:
    for step in range(600):
        stage.progress(step, 600, "steps", loss=1.0)
        if stage.stopping:
            stage.store.write(f"{stage.folder}/checkpoints/1-{stage.attempt}/state", b"state")
        stage.check_stop()
        time.sleep(0.05)


def tell_secrets(stage: Stage) -> None:
    secrets = " ".join(os.environ[name] for name in ("TUNESMITH_TEACHER_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"))
    stage.say(f"the teacher said: {json.dumps({'error': secrets})} {secrets}")
    if TOY.startswith("fails"):
        raise BadData(secrets, problems=[Problem(secrets, secrets, secrets)], remedy=secrets)
    if TOY.startswith("breaks"):
        raise ZeroDivisionError(secrets)


def work(stage: Stage) -> Outcome:
    stage.say(f"attempt {stage.attempt} 开始")
    stage.pin("source", lambda: Pin(uri="x", revision=stage.attempt))
    stage.store.write(f"{stage.folder}/checkpoints/0-{stage.attempt}/state", b"state")
    if TOY == "waits":
        until_stopped(stage)
    if TOY == "races":
        while not Path(os.environ["TOY_GATE"]).exists():
            time.sleep(0.01)
    if TOY == "meets bad data":
        raise BadData("two rows are not enough", problems=[Problem("rows[1]", "is empty")], remedy="add rows")
    if TOY == "breaks":
        raise ZeroDivisionError("a bug of ours")
    if TOY.endswith("its secrets"):
        tell_secrets(stage)
    if TOY == "fills the disk":
        raise OSError(errno.ENOSPC, "No space left on device", str(stage.work / "weights"))
    if TOY == "dies after the commit":
        stage.clean_up = lambda _winner: os.kill(os.getpid(), 9)  # type: ignore[method-assign]
    if TOY == "is told to stop while it commits":
        create = stage.store.create

        def slow(path: str, data: bytes) -> bool:
            os.kill(os.getpid(), 15)
            return create(path, data)

        stage.store.create = slow  # type: ignore[method-assign]
    stage.put_bytes("folder/answer.txt", f"by {stage.attempt}".encode())
    with stage.writer("big.bin") as out:
        out.write(b"x" * 100_000)
    stage.progress(1, 1, "rows", loss=float("nan"))
    return Outcome(metrics={"loss": 0.5, "perplexity": float("inf")}, details={"who": stage.attempt})


if __name__ == "__main__":
    sys.exit(run_stage("generate", work))
