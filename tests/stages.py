"""Running stages in tests the way the runner does: snapshots of requests, and stages as processes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.events import Progress, Result, parse
from tunesmith.metrics import REPORTED
from tunesmith.plan import snapshot
from tunesmith.request import parse as parse_request
from tunesmith.resolve import Snapshot
from tunesmith.settings import Budget
from tunesmith.wire import API_VERSION, KIND
from tunesmith_jobs.attempt import Attempt, Outcome, new_attempt
from tunesmith_jobs.storage import open_store

_SPEC = {"task": "Answer in JSON.", "model": {"base": "hf://org/tiny"}}


def snapshot_for(spec: Mapping[str, Any], run: str = "r") -> Snapshot:
    """The snapshot of a request with this spec. `task` and `model.base` have default values."""
    data = dict(spec.get("data", {}))
    budget = data.pop("budget", {})  # one that can never be enough would be refused, and must be kept to
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "r"},
        "spec": _SPEC | dict(spec) | {"data": data},
    }
    made = snapshot(parse_request(document), run=run)
    limited = made.spec.data.model_copy(update={"budget": Budget.model_validate(budget)})
    return made.model_copy(update={"spec": made.spec.model_copy(update={"data": limited})})


@dataclass(frozen=True)
class Ran:
    """How a stage's process ended. `events`: all machine lines, the result last."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[Progress | Result]:
        return [event for line in self.stdout.splitlines() if (event := parse(line)) is not None]

    @property
    def result(self) -> Result:
        result = self.events[-1]
        assert isinstance(result, Result), self.stdout
        for event in self.events:
            assert event.metrics.keys() <= REPORTED, (
                "a figure that no status would keep: tunesmith/metrics.py"
            )
        return result


def start_module(
    module: str, snapshot: Snapshot, store_url: str, tmp_path: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """Start a stage (`tunesmith_jobs.train`) and leave it running. Its pipes have its output as text."""
    request = tmp_path / "snapshot.json"
    request.write_text(snapshot.to_json(), encoding="utf-8")
    command = [sys.executable, "-m", module, "--request", str(request), "--store", store_url]
    return subprocess.Popen(
        command,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def run_module(
    module: str,
    snapshot: Snapshot,
    store_url: str,
    tmp_path: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 240,
) -> Ran:
    """Run a stage to its end. `env` is added to this process's environment."""
    process = start_module(module, snapshot, store_url, tmp_path, env)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return Ran(process.returncode, stdout, stderr)


Rows = Sequence[Mapping[str, Any]]


def put_dataset(
    snapshot: Snapshot,
    store_url: str,
    work: Path,
    *,
    train: Rows,
    test: Rows = (),
    validation: Rows = (),
    system: str = "",
) -> None:
    """Commit a dataset as generate would.

    Rows have prompt and response; an `id` is added if there is none.
    """
    attempt = Attempt("generate", snapshot, open_store(store_url), work, new_attempt())
    for split, rows in (("train", train), ("validation", validation), ("test", test)):
        if rows or split != "validation":
            lines = [
                json.dumps({"id": f"{split}-{number}"} | dict(row), ensure_ascii=False)
                for number, row in enumerate(rows)
            ]
            attempt.put_bytes(f"{split}.jsonl", "".join(f"{line}\n" for line in lines).encode())
    attempt.put_bytes("system_message.txt", system.encode())
    attempt.put_bytes("report.json", b"{}\n")
    attempt.commit(Outcome())
