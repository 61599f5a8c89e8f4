"""The train stage against a plain trl script: same model, rows, settings and steps, in one run on a CPU.
Under five minutes.

    python benchmarks/train/run.py [--model examples/models/SmolLM2-135M-Instruct] [--steps 12]

Writes results.md next to itself. The stage also stores checkpoints, measures the test loss twice, answers
three prompts and hashes what it leaves; its total includes all of that.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.stages import put_dataset, snapshot_for
from tunesmith_jobs.chat import conversation

HERE = Path(__file__).resolve().parent
SYSTEM = "You sort support messages. Answer with one line of JSON: category, priority, product."
TRAINER = {
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "cosine",
    "logging_steps": 2,
    "bf16": False,
    "seed": 42,
}
LORA = {"r": 32, "lora_alpha": 64}
TEXTS = {
    "billing": [
        "I was charged twice for {}",
        "My invoice for {} shows the wrong amount",
        "Please refund my {} payment",
    ],
    "bug": [
        "{} crashes when I click export",
        "The {} page shows error 500",
        "Search in {} returns nothing",
    ],
    "account": [
        "I cannot log in to {}",
        "How do I change the email of my {} account",
        "Please delete my {} account",
    ],
    "feature": [
        "Could {} support dark mode",
        "Please add CSV import to {}",
        "Can {} send weekly reports",
    ],
}
MOODS = [
    (" This is urgent, our team is blocked.", "high"),
    (" Please look at it this week.", "medium"),
    (" No rush at all.", "low"),
]
PRODUCTS = ["Atlas", "Beacon", "Cobalt", "Drift", "Ember"]


@dataclass(frozen=True)
class Run:
    """A finished process.

    Wall and CPU seconds from start to exit, largest resident size in MiB, exit code, and what it printed.
    """

    seconds: float
    cpu: float
    memory: int
    code: int
    lines: list[str]


def tickets(count: int, seed: int) -> list[dict[str, str]]:
    """Made-up support messages with the JSON object that sorts them."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        category = draw.choice(list(TEXTS))
        product = draw.choice(PRODUCTS)
        mood, priority = draw.choice(MOODS)
        answer = {"category": category, "priority": priority, "product": product}
        prompt = draw.choice(TEXTS[category]).format(product) + "." + mood
        rows.append({"prompt": prompt, "response": json.dumps(answer)})
    return rows


def run(command: list[str], kill_at: str = "") -> Run:
    """Run a process to its end, or kill it as soon as a line holds `kill_at`."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        if kill_at and kill_at in line:
            process.send_signal(signal.SIGKILL)
            break
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not kill_at:
        assert process.stderr is not None
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{process.stderr.read()}")
    return Run(
        time.monotonic() - began,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss // 1024,
        process.returncode,
        lines,
    )


def stage(
    work: Path, name: str, model: Path, rows: list[dict[str, str]], steps: int, **training: Any
) -> tuple[list[str], Path]:
    """A run of its own in a store of its own: the command for its train stage, and the store's folder."""
    spec = {
        "model": {"base": f"file://{model}"},
        "training": {
            "device": "cpu",
            "maxSteps": steps,
            "loraR": LORA["r"],
            "loraAlpha": float(LORA["lora_alpha"]),
            "learningRate": TRAINER["learning_rate"],
            "warmupRatio": 0.0,
            "loggingSteps": TRAINER["logging_steps"],
            "saveSteps": max(1, steps // 3),
            **training,
        },
    }
    snapshot = snapshot_for(spec)
    folder = work / name
    put_dataset(
        snapshot, f"file://{folder}", work / f"{name}-data", train=rows, test=tickets(12, 2), system=SYSTEM
    )
    request = work / f"{name}.json"
    request.write_text(snapshot.to_json(), encoding="utf-8")
    return [
        sys.executable,
        "-m",
        "tunesmith_jobs.train",
        "--request",
        str(request),
        "--store",
        f"file://{folder}",
    ], folder


def digest(store: Path) -> str:
    """sha256 of the adapter in a finished run's manifest."""
    manifest = json.loads(next(store.glob("r/train/*/manifest.json")).read_text())
    return str(next(file["sha256"] for file in manifest["files"] if file["path"].endswith(".safetensors")))


def history(store: Path) -> tuple[float, float]:
    """Seconds per step, from the speed that the stage logged, and the last loss."""
    file = next(store.glob("r/train/*/attempts/*/history.jsonl"))
    last = json.loads(file.read_text().splitlines()[-1])
    return last["tokens"] / last["tokensPerSecond"] / last["step"], last["loss"]


@dataclass(frozen=True)
class Row:
    """A row of the table. `loss`: the last one logged."""

    name: str
    seconds_per_step: float
    ran: Run
    loss: float

    def __str__(self) -> str:
        ran = self.ran
        return (
            f"| {self.name} | {self.seconds_per_step:.2f} | {ran.seconds:.0f} | {ran.cpu:.0f} | {ran.memory} "
            f"| {self.loss:.4f} |"
        )


def plain_row(work: Path, model: Path, rows: list[dict[str, str]], steps: int) -> Row:
    """Run the plain script."""
    messages = [conversation(SYSTEM, row) for row in rows]
    settings = {
        "model": str(model),
        "device": "cpu",
        "steps": steps,
        "folder": str(work / "plain"),
        "rows": [{"prompt": prompt, "completion": completion} for prompt, completion in messages],
        "trainer": TRAINER,
        "lora": LORA,
    }
    file = work / "plain.json"
    file.write_text(json.dumps(settings))
    ran = run([sys.executable, str(HERE / "plain.py"), str(file)])
    printed = json.loads(ran.lines[-1])
    return Row("plain trl script", printed["secondsPerStep"], ran, printed["loss"])


def main() -> None:
    """Run both, and write results.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("examples/models/SmolLM2-135M-Instruct"))
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    model, steps = arguments.model.resolve(), arguments.steps
    rows = tickets(120, 1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        table = [plain_row(work, model, rows, steps)]
        undisturbed = ""
        for name, checkpointing in (("same settings", True), ("gradientCheckpointing: false", False)):
            command, store = stage(
                work, f"ours-{checkpointing}", model, rows, steps, gradientCheckpointing=checkpointing
            )
            ran = run(command)
            seconds, loss = history(store)
            table.append(Row(f"stage, {name}", seconds, ran, loss))
            undisturbed = digest(store)
        command, store = stage(work, "killed", model, rows, steps, gradientCheckpointing=False)
        killed = run(command, kill_at=f"step {TRAINER['logging_steps']} of")
        assert killed.code == -signal.SIGKILL, killed
        run(command)
        same = digest(store) == undisturbed
    text = page(model.name, steps, table, same=same)
    (HERE / "results.md").write_text(text, encoding="utf-8")
    print(text)
    if not same:
        sys.exit(1)


def page(model: str, steps: int, table: list[Row], *, same: bool) -> str:
    """results.md. `same`: whether the killed training ended with the bytes of the undisturbed one."""
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    return "\n".join(
        [
            "# Training: the stage against a plain trl script",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {threads} threads,",
            f"{model}, {steps} steps of 4 rows,",
            "NF4, r 32, all linear layers. Written by `python benchmarks/train/run.py`; "
            "other work on the machine makes it vary.",
            "",
            "| | seconds a step | seconds in all, with start-up | CPU seconds in all | peak memory (MiB) "
            "| last loss logged |",
            "| --- | --- | --- | --- | --- | --- |",
            *map(str, table),
            "",
            "Killed with SIGKILL after its first log line and run again: the adapter's sha256 is "
            f"{'the same as undisturbed' if same else 'ANOTHER one'}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
