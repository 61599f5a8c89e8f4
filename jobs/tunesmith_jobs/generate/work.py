"""The stage generate: a task becomes a dataset. This file only connects.

Leaves train.jsonl, test.jsonl, validation.jsonl (if it has a share), system_message.txt, rejected.jsonl,
plan.json (with strategy plan), report.json, and the same rows for other tools (exports.py). The rows come
from a teacher, from own data, or from another run: from_*.py.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

from tunesmith.errors import BadData
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.generate.dataset import Dataset, counted
from tunesmith_jobs.generate.divide import divide, remarks
from tunesmith_jobs.generate.exports import CARD, CHAT, chat_lines, dataset_card
from tunesmith_jobs.generate.from_own_data import dataset_from_source
from tunesmith_jobs.generate.from_run import copy_dataset
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.generate.leakage import Nearest
from tunesmith_jobs.generate.patience import Patience
from tunesmith_jobs.generate.report import report
from tunesmith_jobs.generate.split import Split
from tunesmith_jobs.model_card import dataset_of
from tunesmith_jobs.rows import write_rows


def work(attempt: Attempt) -> Outcome:
    """Check the whole request, then make the dataset."""
    from tunesmith_jobs.generate.preflight import preflight

    facts = preflight(attempt)
    outcome = generate(attempt)
    if facts is None:
        return outcome
    return replace(outcome, metrics=outcome.metrics | {"baseBytes": float(facts.disk_bytes)})


def generate(attempt: Attempt, patience: Patience | None = None) -> Outcome:
    """Make the dataset. `patience`: how long a teacher's faults are borne."""
    data = attempt.spec.data
    if data.from_ is not None:
        return copy_dataset(attempt, data.from_)
    if data.source is not None:
        dataset = dataset_from_source(attempt, data.source)
    else:
        dataset = asyncio.run(dataset_from_teacher(attempt, patience or Patience.from_environment()))
    attempt.check_stop()
    _check_enough(dataset)
    parts, nearest = divide(dataset, data.split)
    return _store(attempt, dataset, parts, nearest)


def _check_enough(dataset: Dataset) -> None:
    count = len(dataset.rows)
    if count < 2:
        raise BadData(
            f"{count} row{'s' * (count != 1)} to train on, of {dataset.offered} read; "
            f"rejected: {counted(dataset.reasons())}",
            reason="TooFewRows",
            remedy="at least two rows are needed; give more, and ones that differ "
            "(data.nearDuplicates says how much)",
        )


def _store(attempt: Attempt, dataset: Dataset, parts: Split, nearest: Sequence[Nearest]) -> Outcome:
    """Store the files of the dataset."""
    splits = {"train": parts.train, "test": parts.test}
    if attempt.spec.data.split.validation > 0:
        splits["validation"] = parts.validation
    for name, keys in splits.items():
        rows = [dataset.rows[key] for key in keys]
        attempt.put_bytes(f"{name}.jsonl", write_rows(rows))
        attempt.put_bytes(f"{CHAT}/{name}.jsonl", chat_lines(rows, dataset.system_message))
    attempt.put_bytes("system_message.txt", dataset.system_message.encode())
    attempt.put_bytes("rejected.jsonl", dataset.rejected_lines())
    if dataset.plan is not None:
        attempt.put_bytes(
            "plan.json", (dataset.plan.model_dump_json(indent=1, by_alias=True) + "\n").encode()
        )
    figures = report(dataset, parts, nearest, task=attempt.spec.task)
    attempt.put_bytes("report.json", (json.dumps(figures, ensure_ascii=False, indent=1) + "\n").encode())
    sizes = {name: len(keys) for name, keys in splits.items()}
    origin = dataset_of(attempt.spec.data, {name: size for name, size in sizes.items() if size})
    card = dataset_card(dataset, origin, name=attempt.snapshot.name, task=attempt.spec.task)
    attempt.put_bytes(CARD, card.encode())
    attempt.say(f"{len(dataset.rows)} rows: {', '.join(f'{size} {name}' for name, size in sizes.items())}")
    if dataset.rejected:
        attempt.say(f"rejected: {counted(dataset.reasons())}")
    if dataset.passages is not None:
        attempt.say(dataset.passages.in_words())
    for remark in remarks(dataset, parts):
        attempt.say(remark)
    return Outcome(metrics=_metrics(dataset, sizes), details={"rejected": dict(dataset.reasons())})


def _metrics(dataset: Dataset, sizes: dict[str, int]) -> dict[str, float]:
    figures = dataset.figures
    metrics = {"rows": float(len(dataset.rows))}
    metrics |= {f"rows{name.capitalize()}": float(size) for name, size in sizes.items()}
    metrics |= {name: float(figures[name]) for name in ("calls", "callsReused", "usd") if name in figures}
    if figures:
        metrics["tokens"] = float(figures["inputTokens"] + figures["outputTokens"])
    metrics["rejected"] = float(len(dataset.rejected))
    return metrics
