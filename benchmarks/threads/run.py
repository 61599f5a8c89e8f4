"""Seconds a training step, alone and side by side on the same cores, by how a thread waits for another.

    python benchmarks/threads/run.py examples/models/SmolLM2-135M-Instruct [--steps 5] [--rounds 2]

A step is forward, backward and nothing else: 4 rows of 128 tokens, float32, gradients for all weights. Each
process takes all cores, as pods without a CPU limit do. All in one run, in turn; the best of the rounds
counts.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

WAITING = {
    "spins (GNU OpenMP's default)": {},
    "sleeps at once (OMP_WAIT_POLICY=passive)": {"OMP_WAIT_POLICY": "passive"},
    "sleeps soon (GOMP_SPINCOUNT=2000)": {"GOMP_SPINCOUNT": "2000"},
}
# `make demo` writes it.
_DEMO_MODEL = Path(__file__).resolve().parents[2] / "examples/models/SmolLM2-135M-Instruct"


def main() -> None:
    """Run all and print a table."""
    arguments = _arguments()
    if arguments.one:
        print(_steps(arguments.model, arguments.steps))
        return
    seconds: dict[tuple[str, int], list[float]] = {}
    for _ in range(arguments.rounds):
        for waiting in WAITING:
            for processes in (1, 2):
                seconds.setdefault((waiting, processes), []).append(_side_by_side(waiting, processes))
    print(f"{'a thread that waits':44}{'alone s':>10}{'two s':>10}{'two / alone':>14}")
    for waiting in WAITING:
        alone, two = (min(seconds[waiting, processes]) for processes in (1, 2))
        print(f"{waiting:44}{alone:10.2f}{two:10.2f}{two / alone:14.1f}")


def _side_by_side(waiting: str, processes: int) -> float:
    """Seconds a step, of the slowest process."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))
    }
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1"} | WAITING[waiting]
    command = [sys.executable, __file__, *sys.argv[1:], "--one"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(processes)]
    printed = [process.communicate()[0] for process in running]
    if failed := [process.returncode for process in running if process.returncode]:
        raise SystemExit(f"a process failed with {failed[0]}")
    return max(float(text) for text in printed)


def _steps(model: Path, steps: int) -> float:
    """Seconds a step in this process, after one to warm up."""
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tokens = torch.randint(100, 10_000, (4, 128), generator=torch.Generator().manual_seed(0))

    def step() -> None:
        network(input_ids=tokens, labels=tokens).loss.backward()
        network.zero_grad()

    step()
    began = time.monotonic()
    for _ in range(steps):
        step()
    return (time.monotonic() - began) / steps


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a waiting thread costs, alone and side by side.")
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        default=_DEMO_MODEL,
        help="folder of a chat model (default: the demo's)",
    )
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
