"""Trainings of a tiny model in this process: the stage's real work, without a process of its own for each."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.stages import put_dataset, snapshot_for
from tests.tiny import tiny_model
from tunesmith.manifest import Manifest
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.storage import open_store

torch.set_num_threads(1)  # a tiny model only loses by two

CATEGORIES = ("billing", "bug", "account")
ROWS = [
    {
        "prompt": f"message {number} " + "again and " * (number % 7) + "help",
        "response": json.dumps({"category": CATEGORIES[number % 3]}),
    }
    for number in range(22)
]
QUICK = {
    "device": "cpu",
    "numTrainEpochs": 1.0,
    "maxSteps": 2,
    "loraR": 4,
    "learningRate": 0.01,
    "loggingSteps": 1,
}


class Killed(BaseException):
    """Stands for kill -9: nothing of ours catches it, nothing is saved after it."""


class FragileAttempt(Attempt):
    """A stage that dies, or is told to stop, at the end of a step."""

    kill_at: int | None = None
    stop_at: int | None = None

    def progress(self, done: int, total: int, unit: str, *, phase: str = "", **metrics: float) -> None:
        if done == self.kill_at:
            raise Killed
        if done == self.stop_at:
            self.stop()


class Training:
    """One key of a run in a store of its own."""

    def __init__(
        self,
        folder: Path,
        model: Path,
        training: Mapping[str, Any],
        *,
        spec: Mapping[str, Any] | None = None,
        **data: Any,
    ) -> None:
        self.folder = folder
        self.url = f"file://{folder / 'store'}"
        self.snapshot = snapshot_for(
            {
                "model": {"base": f"file://{model}"},
                "training": {"device": "cpu", **training},
                "evaluation": {"maxNewTokens": 4},
            }
            | dict(spec or {})
        )
        self.attempts = 0
        put_dataset(
            self.snapshot,
            self.url,
            folder / "data",
            **({"train": ROWS, "test": ROWS[:4], "system": "Sort it."} | data),
        )

    def attempt(self) -> FragileAttempt:
        self.attempts += 1
        work = self.folder / f"work-{self.attempts}"
        work.mkdir(parents=True)
        return FragileAttempt("train", self.snapshot, open_store(self.url), work, f"attempt-{self.attempts}")

    def kill(self, step: int) -> None:
        from tunesmith_jobs.train.work import work

        attempt = self.attempt()
        attempt.kill_at = step
        with pytest.raises(Killed):
            work(attempt)

    def run(self, attempt: FragileAttempt | None = None) -> Finished:
        from tunesmith_jobs.train.work import work

        attempt = attempt or self.attempt()
        manifest, _ = attempt.commit(work(attempt))
        return Finished(attempt.store, manifest, self.folder / "read")

    def checkpoints(self) -> list[str]:
        attempt = self.attempt()
        prefix = f"{attempt.folder}/checkpoints/"
        return [entry.path.removeprefix(prefix) for entry in attempt.store.list(prefix)]


def digests(manifest: Manifest) -> dict[str, str]:
    """sha256 of the adapter's two files."""
    return {file.path: file.sha256 for file in manifest.files if file.path.startswith("adapter/")}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def training(tmp_path: Path, model: Path):
    """Makes a Training; several in one test get folders of their own."""
    made: list[Training] = []

    def make(settings: Mapping[str, Any] | None = None, base: Path | None = None, **options: Any) -> Training:
        made.append(
            Training(
                tmp_path / f"training-{len(made)}", base or model, QUICK | dict(settings or {}), **options
            )
        )
        return made[-1]

    return make


def read_jsonl(data: bytes) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]
