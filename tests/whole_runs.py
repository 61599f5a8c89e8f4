"""A run as a person starts it: the command line, all stages as processes, a scripted teacher, a tiny real
model.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import yaml

TRAINING = {
    "numTrainEpochs": 3,
    "learningRate": 1e-3,
    "loraR": 4,
    "loraDropout": 0.1,  # draws random numbers: a resume that loses their state shows
    "groupByLength": True,
    "gradientCheckpointing": False,
    "saveSteps": 4,
    "loggingSteps": 2,
    "evalSteps": 0,
}


@dataclass
class Teacher:
    """The scripted teacher as a process; `calls()` is what would have been paid for."""

    process: subprocess.Popen
    url: str

    def calls(self) -> int:
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/stats") as answer:
            return json.load(answer)["calls"]


@dataclass
class Bench:
    """One request, one store, one home folder, and the `tunesmith` command over them."""

    folder: Path
    teacher: Teacher
    spec: dict
    store: str
    env: dict = field(default_factory=dict)
    name: str = "tickets"

    def write(self) -> Path:
        path = self.folder / "a request.yaml"
        document = {
            "apiVersion": "tunesmith.dev/v1alpha1",
            "kind": "TrainingRequest",
            "metadata": {"name": self.name},
            "spec": self.spec,
        }
        path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        return path

    def environment(self) -> dict:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return (
            kept
            | {"HOME": str(home), "OPENAI_BASE_URL": self.teacher.url, "OPENAI_API_KEY": "scripted"}
            | self.env
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "tunesmith_cli", *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def command(self, *arguments: str, expect: int = 0, timeout: float = 240) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=timeout)
        assert process.returncode == expect, output
        return output

    def run(self, *arguments: str, expect: int = 0) -> str:
        return self.command("run", str(self.write()), "--store", self.store, *arguments, expect=expect)

    def ran(self, *, expect: int = 0) -> list[str]:
        """Run; the stages that were not there yet."""
        document = json.loads(self.run("--json", expect=expect).splitlines()[-1])
        return [row["name"] for row in document["stages"] if not row["reused"]]

    def manifests(self, *arguments: str) -> dict:
        """Stage name -> manifest of the key that the last run had."""
        output = self.command("status", self.name, "--store", self.store, "--json", *arguments)
        return {row["name"]: row for row in json.loads(output)["stages"]}


def digests(store_folder: Path, run: str) -> dict:
    """sha256 of everything that must not depend on faults: dataset, adapter, model.

    By the manifests in a folder store.
    """
    sums = {}
    for path in sorted(store_folder.glob(f"{run}/*/*/manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for file in manifest["files"]:
            name = file["path"]
            if name.endswith(
                (".safetensors", "train.jsonl", "test.jsonl", "system_message.txt", "adapter_config.json")
            ):
                sums[f"{manifest['stage']}/{name}"] = file["sha256"]
    return sums


def kill_at(process: subprocess.Popen, seconds: float, whole_group: bool) -> bool:
    """kill -9 the runner (with its stage, or alone) after some seconds; False if it had ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    return True
