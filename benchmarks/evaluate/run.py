"""Answers and losses of one model on the test split: Tunesmith's evaluate against the usual loop over
transformers' pipeline.

    python benchmarks/evaluate/run.py examples/models/SmolLM2-135M-Instruct [--rows 13] [--new-tokens 48]

Both in one run, each in a process of its own, start-up included and shown. The peer answers one prompt at a
time with `pipeline("text-generation")` in the model's own type and computes no loss; evaluate computes both.
A stage evaluates two models.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tunesmith_jobs import before_torch

SYSTEM = "Given a support message, you will answer with one JSON object with category, priority and product."
ANSWER = '{"category": "billing", "priority": "high", "product": "PhotoBox"}'


def main() -> None:
    """Run both and print a table."""
    arguments = _arguments()
    if arguments.side:
        print(json.dumps(_SIDES[arguments.side](arguments.model, arguments.rows, arguments.new_tokens)))
        return
    print(f"{arguments.rows} rows, {arguments.new_tokens} new tokens at most")
    print(
        f"{'':12}{'total s':>9}{'import s':>10}{'load s':>8}{'loss s':>8}"
        f"{'answers s':>11}{'tokens/s':>10}{'peak MiB':>10}"
    )
    # As in the stage. Without it both are several times slower on a busy machine.
    environment = os.environ | before_torch.missing(os.environ)
    for side in _SIDES:
        command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        total = time.monotonic() - began
        print(_row(side, total, json.loads(done.stdout.splitlines()[-1])), flush=True)


def _row(side: str, total: float, figures: dict[str, float]) -> str:
    speed = figures["tokens"] / figures["answers"]
    return (
        f"{side:12}{total:9.1f}{figures['import']:10.1f}{figures['load']:8.1f}{figures['loss']:8.1f}"
        f"{figures['answers']:11.1f}{speed:10.1f}{figures['peak']:10.0f}"
    )


def _prompts(rows: int) -> list[str]:
    return [
        f"Order {number}: I was charged twice for PhotoBox this month, please refund the second payment."
        for number in range(rows)
    ]


def _ours(folder: Path, rows: int, new_tokens: int) -> dict[str, float]:
    began = time.monotonic()
    import torch

    from tunesmith_jobs.chat import conversation
    from tunesmith_jobs.language_model import LanguageModel, batches

    imported = time.monotonic()
    with LanguageModel(folder, torch.device("cpu")) as model:
        loaded = time.monotonic()
        conversations = [
            conversation(SYSTEM, {"prompt": prompt, "response": ANSWER}) for prompt in _prompts(rows)
        ]
        encoded = [model.row_tokens(asked, answer) for asked, answer in conversations]
        for batch in batches([len(tokens) for tokens, _ in encoded], 8):
            model.losses([encoded[row] for row in batch])
        lost = time.monotonic()
        questions = [model.question_tokens(asked) for asked, _ in conversations]
        texts: list[str] = []
        for batch in batches([len(tokens) for tokens in questions], 8):
            texts += model.answers([questions[row] for row in batch], new_tokens)
        answered = time.monotonic()
        tokens = sum(len(model.tokenizer(text)["input_ids"]) for text in texts)
    return _figures([began, imported, loaded, lost, answered], tokens)


def _pipeline(folder: Path, rows: int, new_tokens: int) -> dict[str, float]:
    began = time.monotonic()
    from transformers import pipeline

    imported = time.monotonic()
    ask = pipeline("text-generation", model=str(folder), device="cpu")
    loaded = time.monotonic()
    tokens = 0
    for prompt in _prompts(rows):
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
        [answer] = ask(messages, max_new_tokens=new_tokens, do_sample=False, return_full_text=False)
        tokens += len(ask.tokenizer(answer["generated_text"])["input_ids"])
    return _figures([began, imported, loaded, loaded, time.monotonic()], tokens)


def _figures(times: Sequence[float], tokens: int) -> dict[str, float]:
    names = ("import", "load", "loss", "answers")
    spent = {name: later - sooner for name, sooner, later in zip(names, times[:-1], times[1:], strict=True)}
    return {**spent, "tokens": tokens, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


_SIDES = {"tunesmith": _ours, "pipeline": _pipeline}


# `make demo` writes it.
_DEMO_MODEL = Path(__file__).resolve().parents[2] / "examples/models/SmolLM2-135M-Instruct"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Evaluate against a loop over transformers' pipeline.")
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        default=_DEMO_MODEL,
        help="folder of a chat model (default: the demo's)",
    )
    parser.add_argument("--rows", type=int, default=13)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--side", choices=_SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
