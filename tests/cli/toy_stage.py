"""A stage for tests of the runner: the real shell (request, store, signals, commit) around next to no work.

What it does is said by `stages.<name>.env` of the request: TOY_STEPS and TOY_SECONDS (of all steps),
TOY_CODES (exit codes of the first tries, `9` for a kill), TOY_SAY (a line it prints), TOY_SHOW (a variable
that it shows), TOY_GAIN (evaluate's loss gain). Each step is kept in the store, as checkpoints are, and a
later try goes on after the last.
"""

import os
import signal
import sys
import time

from tunesmith.errors import BadData, BadRequest, Gone, Refused, TryAgain
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.stage import run_stage

FAULTS = {65: BadData, 66: Gone, 75: TryAgain, 77: Refused, 78: BadRequest}


def work(attempt: Attempt) -> Outcome:
    env = os.environ
    attempt.say(env.get("TOY_SAY", f"toy {attempt.stage}"))
    if shown := env.get("TOY_SHOW"):
        attempt.say(f"{shown}={env.get(shown)}")
    tries = sum(1 for _ in attempt.store.list(f"{attempt.folder}/tries/"))
    attempt.store.write(f"{attempt.folder}/tries/{tries}", b"")
    codes = [int(code) for code in env.get("TOY_CODES", "").split()]
    if tries < len(codes):
        fail(codes[tries])
    steps = int(env.get("TOY_STEPS", "2"))
    for step in range(steps):
        if attempt.store.size(f"{attempt.folder}/steps/{step}") is not None:
            continue
        attempt.check_stop()
        time.sleep(float(env.get("TOY_SECONDS", "0")) / steps)
        attempt.store.write(f"{attempt.folder}/steps/{step}", b"")
        attempt.progress(step + 1, steps, "steps", phase="toy", loss=1 / (step + 1))
    for name in {
        "generate": ["train.jsonl"],
        "train": ["adapter/adapter_config.json"],
        "merge": ["model/config.json"],
    }.get(attempt.stage, []):
        attempt.put_bytes(name, b"{}\n")
    if attempt.stage != "evaluate":
        return Outcome(details={"tries": tries + 1})
    attempt.put_bytes("report.html", b"<p>toy</p>")
    attempt.put_bytes("report.json", b'{"toy": true}\n')
    answer = '{"prompt": "Hi [bold]", "base": "\\u001b[31mno", "merged": "yes 是", "expected": "yes"}\n'
    attempt.put_bytes("answers.jsonl", answer.encode() * 5)
    gain = float(env.get("TOY_GAIN", "1"))
    metrics = {
        "rows": 12.0,
        "lossBase": 2.0,
        "lossMerged": 2.0 - gain,
        "lossGain": gain,
        "lossGainLow": gain / 2,
    }
    return Outcome(metrics=metrics)


def fail(code: int) -> None:
    if code == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    if code == 1:
        raise RuntimeError("a toy bug")
    raise FAULTS[code](f"toy fault {code}", remedy="a toy remedy")


if __name__ == "__main__":
    sys.exit(run_stage(sys.argv.pop(1), work))
