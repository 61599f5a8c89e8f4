"""What the GPU check works with: trainings of a tiny model, and the plain trl script to compare with."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stages import put_dataset, snapshot_for
from tunesmith.resolve import Snapshot
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.chat import conversation
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.storage import open_store

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    {
        "prompt": f"message {number} " + "and more " * (number % 9),
        "response": json.dumps({"kind": number % 3}),
    }
    for number in range(64)
]
STEPS = 12


class Failed(Exception):
    """A check did not hold."""


@dataclass(frozen=True)
class Training:
    """A request with its dataset in a store of its own."""

    snapshot: Snapshot
    url: str  # the store's
    folder: Path

    def attempt(self, name: str) -> Attempt:
        """An attempt at its train stage."""
        return Attempt("train", self.snapshot, open_store(self.url), self.folder / "work", name)

    def run(self) -> Finished:
        """Run the train stage in this process, to its commit."""
        from tunesmith_jobs.train.work import work

        attempt = self.attempt(f"a{time.monotonic_ns()}")
        attempt.work.mkdir(exist_ok=True)
        manifest, _ = attempt.commit(work(attempt))
        return Finished(attempt.store, manifest, self.folder / "read")

    def kill(self) -> None:
        """Run the stage as a process and kill it once the log of step 6 is out.

        Its checkpoint of step 4 is in the store by then. Raises Failed if it could not be killed half-way.
        """
        request = self.folder / "snapshot.json"
        request.write_text(self.snapshot.to_json(), encoding="utf-8")
        arguments = ["--request", str(request), "--store", self.url]
        command = [sys.executable, "-m", "tunesmith_jobs.train", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("step 6 of"):
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
        attempt = self.attempt("reader")
        manifest = read_manifest(attempt.store, self.snapshot.run, "train", attempt.key)
        if process.returncode != -signal.SIGKILL or manifest is not None:
            raise Failed("\n".join(["the training could not be killed half-way:", *lines[-5:]]))


@dataclass
class Bench:
    """Where the checks work: a scratch folder, the device's name, and the tiny model."""

    folder: Path
    device: str
    model: Path
    count: int = 0

    def training(
        self, model: Path | None = None, rows: list[dict[str, str]] = ROWS, **settings: Any
    ) -> Training:
        """A training in a folder of its own. `settings`: of the request, in place of this script's."""
        self.count += 1
        folder = self.folder / f"run-{self.count}"
        usual = {
            "device": self.device,
            "maxSteps": STEPS,
            "saveSteps": 4,
            "loggingSteps": 2,
            "learningRate": 1e-3,
            "deterministic": True,
        }
        snapshot = snapshot_for(
            {
                "model": {"base": f"file://{model or self.model}"},
                "training": usual | settings,
                "evaluation": {"maxNewTokens": 4},
            }
        )
        url = f"file://{folder / 'store'}"
        put_dataset(snapshot, url, folder / "data", train=rows, test=rows[:4], system="Sort it.")
        return Training(snapshot, url, folder)


def plain_seconds(bench: Bench, model: Path, rows: list[dict[str, str]], steps: int) -> float:
    """Seconds a step of the plain trl script. Raises Failed if it does not end well."""
    messages = [conversation("Sort it.", row) for row in rows]
    settings = {
        "model": str(model),
        "device": bench.device,
        "steps": steps,
        "folder": str(bench.folder / "plain"),
        "rows": [{"prompt": prompt, "completion": completion} for prompt, completion in messages],
        "trainer": {
            "per_device_train_batch_size": 8,
            "learning_rate": 1e-4,
            "logging_steps": steps,
            "bf16": False,
            "seed": 42,
        },
        "lora": {"r": 16, "lora_alpha": 32},
    }
    file = bench.folder / "plain.json"
    file.write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/train/plain.py"), str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    if done.returncode:
        raise Failed(f"the plain script ended with {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
    return float(json.loads(done.stdout.splitlines()[-1])["secondsPerStep"])
