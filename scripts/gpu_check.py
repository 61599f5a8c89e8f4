"""What only a GPU can show about the training recipe, on this machine's card: `make gpu-check`.

It is offline, uses random models, and takes under 8 minutes. It writes docs/reference/gpu-check.md with date,
card and results, and ends with 0 if all held, 1 if not. Without a GPU it prints one line and ends with 75.

`--rehearse` runs on a CPU what can run there and writes nothing. It shows that the script works, not that a
card does.
"""

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.gpu_bench import ROOT, Bench, Failed, plain_seconds
from tests.tiny import tiny_model
from tunesmith.errors import BadRequest, ExitCode
from tunesmith_jobs import before_torch
from tunesmith_jobs.finished import Finished

PAGE = ROOT / "docs/reference/gpu-check.md"
LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")
# About 0.9e9 weights, as 4-bit layers of 2048 x 2048 and 2048 x 4096.
LARGE = {"layers": 24, "hidden": 2048, "heads": 16, "context": 1024, "deviation": 0.02}
SPEED_STEPS = 20
SLOWER_AT_MOST = 1.25  # than a plain trl script


@dataclass(frozen=True)
class Check:
    """A claim and the function that shows it.

    `run` returns what was seen, or raises Failed; `cpu`: whether it can be rehearsed on one.
    """

    claim: str
    run: Callable[["Bench"], str]
    cpu: bool = True


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

    training = bench.training()
    training.kill()
    finished = training.run()
    tensors = load_file(finished.path("adapter/adapter_model.safetensors"))
    dtypes = {str(tensor.dtype) for tensor in tensors.values()}
    dtypes |= set(json.loads(finished.read("report.json"))["trainer"]["adapterDtype"])
    if dtypes != {"torch.float32"}:
        raise Failed(f"it is {', '.join(sorted(dtypes))}")
    return "float32 in the trainer after a resume and in the file"


def resume_is_bitwise(bench: Bench) -> str:
    """SIGKILL in the middle, then run again: the same bytes as undisturbed, with dropout and grouped rows."""
    settings: dict[str, Any] = {"groupByLength": True, "loraDropout": 0.1}
    undisturbed = adapter_digest(bench.training(**settings).run())
    training = bench.training(**settings)
    training.kill()
    resumed = adapter_digest(training.run())
    if resumed != undisturbed:
        raise Failed(f"sha256 {resumed[:12]} after a resume, {undisturbed[:12]} undisturbed")
    return f"sha256 {resumed[:12]} both times"


def paged_optimizer(bench: Bench) -> str:
    """The optimizer of the original preset trains: the test loss falls."""
    finished = bench.training(optim="paged_adamw_32bit").run()
    name = json.loads(finished.read("report.json"))["trainer"]["optimizer"]
    return f"{name}: {falling_loss(finished)}"


def mixed_precision(bench: Bench) -> str:
    """bf16 outside the 4-bit layers trains too."""
    return falling_loss(bench.training(bf16=True).run())


def falling_loss(finished: Finished) -> str:
    """The test loss before and after. Raises Failed if it has not fallen."""
    metrics = finished.manifest.metrics
    before, after = metrics["testLossBefore"], metrics["testLossAfter"]
    losses = f"test loss {before:.4f} before, {after:.4f} after"
    if not after < before:
        raise Failed(losses)
    return losses


def out_of_memory(bench: Bench) -> str:
    """With next to no memory allowed: BadRequest, reason OutOfMemory, with what to do."""
    import torch

    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(64 * 2**20 / total)
    long = [{"prompt": "word " * 60, "response": "yes"}] * 256  # some 350 tokens each
    try:
        bench.training(rows=long, perDeviceTrainBatchSize=256, gradientCheckpointing=False).run()
    except BadRequest as error:
        if error.reason != "OutOfMemory":
            raise Failed(f"reason {error.reason}") from error
        return f"{error.reason}: {error.message}"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    raise Failed("it fitted: nothing ran out of memory")


def speed(bench: Bench) -> str:
    """Seconds a step against a plain trl script: same model (0.9e9 random weights), rows and settings."""
    on_gpu = bench.device == "cuda"
    model = tiny_model(bench.folder / "large", **(LARGE if on_gpu else {}))  # type: ignore[arg-type]  # numbers by name
    rows = [{"prompt": "word " * 60, "response": "answer " * 10}] * 64  # some 400 tokens each
    steps = SPEED_STEPS if on_gpu else 3
    plain = plain_seconds(bench, model, rows, steps)
    training = bench.training(
        model,
        rows,
        maxSteps=steps,
        saveSteps=1000,
        loggingSteps=steps,
        perDeviceTrainBatchSize=8,
        learningRate=1e-4,
        deterministic=False,
    )
    last = json.loads(training.run().read("history.jsonl").splitlines()[-1])
    ours = last["tokens"] / last["tokensPerSecond"] / last["step"]
    compared = f"{ours:.3f} s a step, the plain script {plain:.3f}"
    if ours > SLOWER_AT_MOST * plain:
        raise Failed(compared)
    return f"{compared}; peak {last['peakMemoryBytes'] / 2**30:.2f} GiB"


CHECKS = (
    Check("NF4 on CUDA holds the values it holds on a CPU", nf4_values),
    Check("the adapter is float32, before and after a resume", adapter_is_float32),
    Check("a killed training resumes bitwise with `deterministic: true`", resume_is_bitwise),
    Check("the original's paged optimizer trains", paged_optimizer),
    Check("bf16 outside the 4-bit layers trains", mixed_precision),
    Check("running out of GPU memory is an error with a name", out_of_memory, cpu=False),
    Check("a step takes at most 1.25 of a plain trl script's", speed),
)


HEAD = """\
# GPU check

`make gpu-check` shows on your own card what a CPU cannot show about the training recipe: offline, with random
models, in under 8 minutes. It writes this page; without a visible GPU it says so and ends with exit code 75.
"""


def page(
    card: str, results: list[tuple[str, bool, str]], seconds: float, today: str, versions: dict[str, str]
) -> str:
    """The reference page, as Markdown. `results`: claim, whether it held, what was seen."""
    held = sum(ok for _, ok, _ in results)
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    rows = [
        f"| {claim} | {'held' if ok else '**did not hold**'} | {seen.splitlines()[0].replace('|', '/')} |"
        for claim, ok, seen in results
    ]
    return "\n".join(
        [
            HEAD,
            f"Last run: {today}, {card}, {held} of {len(results)} held, {seconds:.0f} s;",
            f"{libraries}.",
            "",
            "| claim | | seen |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
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
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.update(before_torch.missing_for_hub(os.environ))
    os.environ.update(before_torch.missing_for_determinism(os.environ))
    import torch

    if not torch.cuda.is_available() and not rehearse:
        print("gpu-check: no GPU is visible to torch here, so there is nothing to check")
        return ExitCode.TRY_AGAIN
    began = time.monotonic()
    results = run_checks(rehearse=rehearse)
    if not rehearse:
        write_page(torch.cuda.get_device_name(0), results, time.monotonic() - began)
    return 0 if all(held for _, held, _ in results) else 1


def run_checks(*, rehearse: bool) -> list[tuple[str, bool, str]]:
    """Claim, whether it held, and what was seen, for each check; printed as they come."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        device = "cpu" if rehearse else "cuda"
        bench = Bench(Path(folder), device, tiny_model(Path(folder) / "tiny"))
        for check in CHECKS:
            if rehearse and not check.cpu:
                continue
            held, seen = attempt(check, bench)
            results.append((check.claim, held, seen))
            print(f"{'held' if held else 'DID NOT HOLD'}: {check.claim}: {seen}", flush=True)
    return results


def write_page(card: str, results: list[tuple[str, bool, str]], seconds: float) -> None:
    """Write the reference page, with today's date and the libraries' versions."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    text = page(card, results, seconds, f"{datetime.now(UTC):%Y-%m-%d}", versions)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")


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
