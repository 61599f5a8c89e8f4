"""What only a GPU can show about the training recipe, on this machine's card: `make gpu-check`. Offline, random models, under 8 minutes.

Writes docs/reference/gpu-check.md with date, card and results, and ends with 0 if all held, 1 if not. Without a GPU: one line, and 75.
`--rehearse` runs on a CPU whatever can run there and writes nothing: it shows that the script works, not that a card does.
"""

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.stages import put_dataset, snapshot_for
from tests.tiny import tiny_model
from tunesmith.errors import BadRequest, ExitCode
from tunesmith.resolve import Snapshot
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.chat import conversation
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.storage import open_store

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/reference/gpu-check.md"
LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")
ROWS = [
    {
        "prompt": f"message {number} " + "and more " * (number % 9),
        "response": json.dumps({"kind": number % 3}),
    }
    for number in range(64)
]
STEPS = 12
# ~0.9e9 weights, as 4-bit layers of 2048 x 2048 and 2048 x 4096.
LARGE = {"layers": 24, "hidden": 2048, "heads": 16, "context": 1024, "deviation": 0.02}
SPEED_STEPS = 20


class Failed(Exception):
    """A check did not hold."""


@dataclass(frozen=True)
class Check:
    """`claim` is what must hold; `run` shows it and returns what was seen, or raises Failed. `cpu`: can be rehearsed on one."""

    claim: str
    run: Callable[["Bench"], str]
    cpu: bool = True


@dataclass
class Bench:
    """Where the checks work: a scratch folder, the device's name, and the tiny model."""

    folder: Path
    device: str
    model: Path
    count: int = 0

    def training(
        self, model: Path | None = None, rows: list[dict[str, str]] = ROWS, **settings: Any
    ) -> tuple[Snapshot, str, Path]:
        """A request with its dataset in a store of its own: snapshot, the store's URL, its folder."""
        self.count += 1
        folder = self.folder / f"run-{self.count}"
        wish = {
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
                "training": wish | settings,
                "evaluation": {"maxNewTokens": 4},
            }
        )
        url = f"file://{folder / 'store'}"
        put_dataset(snapshot, url, folder / "data", train=rows, test=rows[:4], system="Sort it.")
        return snapshot, url, folder

    def run(self, snapshot: Snapshot, url: str, folder: Path) -> Finished:
        """Run the train stage in this process, to its commit."""
        from tunesmith_jobs.train.work import work

        attempt = Attempt("train", snapshot, open_store(url), folder / "work", f"a{time.monotonic_ns()}")
        attempt.work.mkdir(exist_ok=True)
        manifest, _ = attempt.commit(work(attempt))
        return Finished(attempt.store, manifest, folder / "read")


def adapter_digest(finished: Finished) -> str:
    """sha256 of the adapter's weights."""
    return hashlib.sha256(finished.read("adapter/adapter_model.safetensors")).hexdigest()


def nf4_values(bench: Bench) -> str:
    """The card unpacks the values that the CPU unpacks."""
    import bitsandbytes.functional as quantised
    import torch

    weight = torch.randn(512, 768, generator=torch.Generator().manual_seed(0))
    values = []
    for place in ("cpu", bench.device):
        packed, state = quantised.quantize_4bit(
            weight.to(place), quant_type="nf4", blocksize=64, compress_statistics=False
        )
        values.append(quantised.dequantize_4bit(packed, state).float().cpu())
    differing = int((values[0] != values[1]).sum())
    if differing > weight.numel() // 1000:
        raise Failed(f"{differing} of {weight.numel()} values differ")
    error = float((values[1] - weight).norm() / weight.norm())
    return f"{differing} of {weight.numel()} values differ from the CPU's; relative error of NF4 {error:.4f}"


def adapter_is_float32(bench: Bench) -> str:
    """In the file, and in the trainer after a resume, though trl casts it."""
    from safetensors.torch import load_file

    snapshot, url, folder = bench.training()
    kill(snapshot, url, folder)
    finished = bench.run(snapshot, url, folder)
    kinds = {
        str(tensor.dtype) for tensor in load_file(finished.path("adapter/adapter_model.safetensors")).values()
    }
    kinds |= set(json.loads(finished.read("report.json"))["trainer"]["adapterDtype"])
    if kinds != {"torch.float32"}:
        raise Failed(f"found {', '.join(sorted(kinds))}")
    return "float32 in the trainer after a resume and in the file"


def resume_is_bitwise(bench: Bench) -> str:
    """SIGKILL in the middle and again: the same bytes as undisturbed, with NF4, dropout and rows grouped by length."""
    settings: dict[str, Any] = {"groupByLength": True, "loraDropout": 0.1}
    undisturbed = adapter_digest(bench.run(*bench.training(**settings)))
    snapshot, url, folder = bench.training(**settings)
    kill(snapshot, url, folder)
    resumed = adapter_digest(bench.run(snapshot, url, folder))
    if resumed != undisturbed:
        raise Failed(f"sha256 {resumed[:12]} after a resume, {undisturbed[:12]} undisturbed")
    return f"sha256 {resumed[:12]} both times"


def paged_optimizer(bench: Bench) -> str:
    """The optimizer of the original preset trains: the test loss falls."""
    finished = bench.run(*bench.training(optim="paged_adamw_32bit"))
    metrics = finished.manifest.metrics
    name = json.loads(finished.read("report.json"))["trainer"]["optimizer"]
    if not metrics["testLossAfter"] < metrics["testLossBefore"]:
        raise Failed(
            f"{name}: test loss {metrics['testLossBefore']:.4f} before, {metrics['testLossAfter']:.4f} after"
        )
    return f"{name}: test loss {metrics['testLossBefore']:.4f} before, {metrics['testLossAfter']:.4f} after"


def mixed_precision(bench: Bench) -> str:
    """bf16 outside the 4-bit layers trains too."""
    metrics = bench.run(*bench.training(bf16=True)).manifest.metrics
    if not metrics["testLossAfter"] < metrics["testLossBefore"]:
        raise Failed(
            f"test loss {metrics['testLossBefore']:.4f} before, {metrics['testLossAfter']:.4f} after"
        )
    return f"test loss {metrics['testLossBefore']:.4f} before, {metrics['testLossAfter']:.4f} after"


def out_of_memory(bench: Bench) -> str:
    """With next to no memory allowed: BadRequest, reason OutOfMemory, with what to do."""
    import torch

    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(64 * 2**20 / total)
    long = [{"prompt": "word " * 60, "response": "yes"}] * 256  # some 350 tokens each
    try:
        bench.run(*bench.training(rows=long, perDeviceTrainBatchSize=256, gradientCheckpointing=False))
    except BadRequest as error:
        if error.reason != "OutOfMemory":
            raise Failed(f"reason {error.reason}") from error
        return f"{error.reason}: {error.message}"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    raise Failed("it fitted: nothing ran out of memory")


def speed(bench: Bench) -> str:
    """Seconds a step beside a plain trl script: same model (0.9e9 random weights), rows and settings."""
    large = tiny_model(bench.folder / "large", **(LARGE if bench.device == "cuda" else {}))  # type: ignore[arg-type]  # numbers by name
    rows = [{"prompt": "word " * 60, "response": "answer " * 10}] * 64  # some 400 tokens each
    steps = SPEED_STEPS if bench.device == "cuda" else 3
    trainer = {
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-4,
        "logging_steps": steps,
        "bf16": False,
        "seed": 42,
    }
    wish = {
        "model": str(large),
        "device": bench.device,
        "steps": steps,
        "folder": str(bench.folder / "plain"),
        "rows": [
            {"prompt": prompt, "completion": completion}
            for prompt, completion in (conversation("Sort it.", row) for row in rows)
        ],
        "trainer": trainer,
        "lora": {"r": 16, "lora_alpha": 32},
    }
    settings = bench.folder / "plain.json"
    settings.write_text(json.dumps(wish))
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/train/plain.py"), str(settings)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    if done.returncode:
        raise Failed(f"the plain script ended with {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
    plain = json.loads(done.stdout.splitlines()[-1])["secondsPerStep"]
    snapshot, url, folder = bench.training(
        large,
        rows,
        maxSteps=steps,
        saveSteps=1000,
        loggingSteps=steps,
        perDeviceTrainBatchSize=8,
        learningRate=1e-4,
        deterministic=False,
    )
    finished = bench.run(snapshot, url, folder)
    last = json.loads(finished.read("history.jsonl").splitlines()[-1])
    ours = last["tokens"] / last["tokensPerSecond"] / last["step"]
    if ours > 1.25 * plain:
        raise Failed(f"{ours:.3f} s a step, the plain script {plain:.3f}")
    return (
        f"{ours:.3f} s a step, the plain script {plain:.3f}; peak {last['peakMemoryBytes'] / 2**30:.2f} GiB"
    )


CHECKS = (
    Check("NF4 on CUDA holds the values it holds on a CPU", nf4_values),
    Check("the adapter is float32, before and after a resume", adapter_is_float32),
    Check("a killed training resumes bitwise with `deterministic: true`", resume_is_bitwise),
    Check("the original's paged optimizer trains", paged_optimizer),
    Check("bf16 outside the 4-bit layers trains", mixed_precision),
    Check("running out of GPU memory is an error with a name", out_of_memory, cpu=False),
    Check("a step takes at most 1.25 of a plain trl script's", speed),
)


def kill(snapshot: Snapshot, url: str, folder: Path) -> None:
    """Start the stage as a process and kill it once the log of step 6 is out; its checkpoint of step 4 is in the store then."""
    request = folder / "snapshot.json"
    request.write_text(snapshot.to_json(), encoding="utf-8")
    command = [sys.executable, "-m", "tunesmith_jobs.train", "--request", str(request), "--store", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith("step 6 of"):
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    attempt = Attempt("train", snapshot, open_store(url), folder, "reader")
    if process.returncode != -signal.SIGKILL or read_manifest(
        attempt.store, snapshot.run, "train", attempt.key
    ):
        raise Failed("\n".join(["the training could not be killed half-way:", *lines[-5:]]))


def page(
    card: str, results: list[tuple[str, bool, str]], seconds: float, today: str, versions: dict[str, str]
) -> str:
    """The reference page, as Markdown. `results`: claim, whether it held, what was seen."""
    held = sum(ok for _, ok, _ in results)
    rows = [
        f"| {claim} | {'held' if ok else '**did not hold**'} | {seen.splitlines()[0].replace('|', '/')} |"
        for claim, ok, seen in results
    ]
    return "\n".join(
        [
            *HEAD,
            f"Last run: {today}, {card}, {held} of {len(results)} held, {seconds:.0f} s;",
            ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
            "",
            "| claim | | seen |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


HEAD = (
    "# GPU check",
    "",
    "`make gpu-check` shows on your own card what a CPU cannot show about the training recipe: offline, with random models, in under",
    "8 minutes. It writes this page; without a visible GPU it says so and ends with exit code 75.",
    "",
)


def main() -> int:
    """Run all checks; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rehearse", action="store_true", help="run on a CPU what can run there; writes no page"
    )
    rehearse = parser.parse_args().rehearse
    os.environ |= OFFLINE
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # deterministic matrix products; read once, when CUDA starts
    import torch

    if not torch.cuda.is_available() and not rehearse:
        print("gpu-check: no GPU is visible to torch here, so there is nothing to check")
        return ExitCode.TRY_AGAIN
    device = "cpu" if rehearse else "cuda"
    began = time.monotonic()
    results: list[tuple[str, bool, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), device, tiny_model(Path(folder) / "tiny"))
        for check in CHECKS:
            if rehearse and not check.cpu:
                continue
            held, seen = attempt(check, bench)
            results.append((check.claim, held, seen))
            print(f"{'held' if held else 'DID NOT HOLD'}: {check.claim}: {seen}", flush=True)
    if not rehearse:
        card = torch.cuda.get_device_name(0)
        versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(
            page(card, results, time.monotonic() - began, f"{datetime.now(UTC):%Y-%m-%d}", versions),
            encoding="utf-8",
        )
    return 0 if all(held for _, held, _ in results) else 1


def attempt(check: Check, bench: Bench) -> tuple[bool, str]:
    """Whether a check held, and what was seen; one that breaks does not keep the others from running."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return True, check.run(bench)
    except Failed as failure:
        return False, str(failure)
    except Exception as error:  # noqa: BLE001 whatever a driver or library raises is a result here
        return False, f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
