"""The dataset as tokens, with what is to be said about it."""

from dataclasses import dataclass
from typing import Any

from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.rows import Row, read_rows
from tunesmith_jobs.train import tokens


@dataclass(frozen=True)
class Splits:
    """The dataset as tokens. `test_rows` are the rows themselves, for samples."""

    train: list[tokens.Encoded]
    validation: list[tokens.Encoded]
    test: list[tokens.Encoded]
    test_rows: list[Row]
    system: str
    system_role: bool
    statistics: dict[str, dict[str, int]]
    preview: list[dict[str, str | bool]]


def read_splits(attempt: Attempt, tokenizer: Any, max_length: int) -> Splits:
    """Encode generate's rows, and say in numbers what was cut or left out. Raises BadData if nothing can be trained on."""
    dataset = attempt.finished("generate")
    system = dataset.read("system_message.txt").decode()
    role = tokens.has_system_role(tokenizer)
    found: dict[str, list[Row]] = {}
    for split in ("train", "validation", "test"):
        name = f"{split}.jsonl"
        found[split] = read_rows(dataset.read(name), name) if name in dataset.names() else []
    encoded = {
        split: [
            tokens.encode(tokenizer, system, row, system_role=role, max_length=max_length) for row in rows
        ]
        for split, rows in found.items()
    }
    statistics = {split: tokens.statistics(rows) for split, rows in encoded.items() if rows}
    for split, numbers in statistics.items():
        cut = f", {numbers['truncated']} cut at {max_length}" if numbers["truncated"] else ""
        left = (
            f", {numbers['masked']} left out (no token of the answer within the limit)"
            if numbers["masked"]
            else ""
        )
        attempt.say(
            f"{split}: {numbers['rows']} rows, {numbers['total']} tokens, longest {numbers['max']}{cut}{left}"
        )
    train = tokens.usable(encoded["train"], "train", max_length)
    kept = {split: [row for row in rows if row.trained] for split, rows in encoded.items()}
    preview = tokens.preview(tokenizer, train[0])
    return Splits(train, kept["validation"], kept["test"], found["test"], system, role, statistics, preview)
