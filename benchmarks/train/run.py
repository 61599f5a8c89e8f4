"""The train stage against a plain trl script: same model, rows, settings and steps, in one run on a CPU. Under five minutes.

    python benchmarks/train/run.py [--model examples/models/SmolLM2-135M-Instruct] [--steps 12]

Writes results.md beside itself. The stage also stores checkpoints, measures the test loss twice, answers three prompts and hashes
what it leaves; its total includes all of that.
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


@dataclass(frozen=True)
class Run:
    """A finished process: wall and CPU seconds from start to exit, largest resident size in MiB, and what it printed."""

    seconds: float
    cpu: float
    memory: int
    code: int
    lines: list[str]


def tickets(count: int, seed: int) -> list[dict[str, str]]:
    """Made-up support messages with the JSON object that sorts them."""
    draw = random.Random(seed)
    texts = {
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
    moods = [
        (" This is urgent, our team is blocked.", "high"),
        (" Please look at it this week.", "medium"),
        (" No rush at all.", "low"),
    ]
    rows = []
    for _ in range(count):
        category, product = (
            draw.choice(list(texts)),
            draw.choice(["Atlas", "Beacon", "Cobalt", "Drift", "Ember"]),
        )
        mood, priority = draw.choice(moods)
        answer = {"category": category, "priority": priority, "product": product}
        rows.append(
            {
                "prompt": draw.choice(texts[category]).format(product) + "." + mood,
                "response": json.dumps(answer),
            }
        )
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
    snapshot, folder = snapshot_for(spec), work / name
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
    entries = [
        json.loads(line)
        for line in next(store.glob("r/train/*/attempts/*/history.jsonl")).read_text().splitlines()
    ]
    return entries[-1]["tokens"] / entries[-1]["tokensPerSecond"] / entries[-1]["step"], entries[-1]["loss"]


def main() -> None:
    """Run both, and write results.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("examples/models/SmolLM2-135M-Instruct"))
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    model = arguments.model.resolve()
    rows = tickets(120, 1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        messages = [conversation(SYSTEM, row) for row in rows]
        wish = {
            "model": str(model),
            "device": "cpu",
            "steps": arguments.steps,
            "folder": str(work / "plain"),
            "rows": [{"prompt": prompt, "completion": completion} for prompt, completion in messages],
            "trainer": TRAINER,
            "lora": LORA,
        }
        (work / "plain.json").write_text(json.dumps(wish))
        plain = run([sys.executable, str(HERE / "plain.py"), str(work / "plain.json")])
        said = json.loads(plain.lines[-1])
        ours = {}
        for name, checkpointing in (("same settings", True), ("gradientCheckpointing: false", False)):
            command, store = stage(
                work,
                f"ours-{checkpointing}",
                model,
                rows,
                arguments.steps,
                gradientCheckpointing=checkpointing,
            )
            ours[name] = (run(command), store)
        command, store = stage(work, "killed", model, rows, arguments.steps, gradientCheckpointing=False)
        killed = run(command, kill_at=f"step {TRAINER['logging_steps']} of")
        assert killed.code == -signal.SIGKILL, killed
        run(command)
        same = digest(store) == digest(ours["gradientCheckpointing: false"][1])
        read = {name: (ran, history(place)) for name, (ran, place) in ours.items()}
    table = [
        ("plain trl script", said["secondsPerStep"], plain.seconds, plain.cpu, plain.memory, said["loss"]),
        *(
            (f"stage, {name}", history_of[0], ran.seconds, ran.cpu, ran.memory, history_of[1])
            for name, (ran, history_of) in read.items()
        ),
    ]
    text = "\n".join(
        [
            "# Training: the stage against a plain trl script",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.environ.get('OMP_NUM_THREADS') or os.cpu_count()} threads,",
            f"{model.name}, {arguments.steps} steps of 4 rows,",
            "NF4, r 32, all linear layers. Written by `python benchmarks/train/run.py`; other work on the machine makes it vary.",
            "",
            "| | seconds a step | seconds in all, with start-up | CPU seconds in all | peak memory (MiB) | last loss logged |",
            "| --- | --- | --- | --- | --- | --- |",
            *(
                f"| {name} | {step:.2f} | {total:.0f} | {cpu:.0f} | {memory} | {loss:.4f} |"
                for name, step, total, cpu, memory, loss in table
            ),
            "",
            f"Killed with SIGKILL after its first log line and run again: the adapter's sha256 is "
            f"{'the same as undisturbed' if same else 'ANOTHER one'}.",
            "",
        ]
    )
    (HERE / "results.md").write_text(text, encoding="utf-8")
    print(text)
    if not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
