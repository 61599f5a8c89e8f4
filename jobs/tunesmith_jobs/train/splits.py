"""The dataset as tokens, and what the log says about it."""

from dataclasses import dataclass
from typing import Any

from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.rows import Row, read_rows
from tunesmith_jobs.train import tokens

_SPLITS = ("train", "validation", "test")


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
    """Encode generate's rows, and log how many were cut or left out.

    Raises BadData if nothing can be trained on.
    """
    dataset = attempt.finished("generate")
    system = dataset.read("system_message.txt").decode()
    system_role = tokens.has_system_role(tokenizer)
    rows = {split: _rows(dataset, split) for split in _SPLITS}
    encoded = {
        split: [
            sequence
            for row in rows[split]
            for sequence in tokens.encode(
                tokenizer,
                system,
                _as_tested(row) if split == "test" else row,
                system_role=system_role,
                max_length=max_length,
            )
        ]
        for split in _SPLITS
    }
    statistics = {split: tokens.statistics(encoded[split]) for split in _SPLITS if encoded[split]}
    for split, numbers in statistics.items():
        attempt.say(_in_words(split, numbers, max_length))
    train = tokens.usable(encoded["train"], "train", max_length)
    return Splits(
        train=train,
        validation=[row for row in encoded["validation"] if row.trained],
        test=[row for row in encoded["test"] if row.trained],
        test_rows=rows["test"],
        system=system,
        system_role=system_role,
        statistics=statistics,
        preview=tokens.preview(tokenizer, train[0]),
    )


def _as_tested(row: Row) -> Row:
    """The row with its last answer alone to be scored, as evaluate does."""
    history = tuple(turn.model_copy(update={"learnt": False}) for turn in row.history)
    return row.model_copy(update={"history": history})


def _rows(dataset: Finished, split: str) -> list[Row]:
    name = f"{split}.jsonl"
    return read_rows(dataset.read(name), name) if name in dataset.names() else []


def _in_words(split: str, numbers: dict[str, int], max_length: int) -> str:
    text = f"{split}: {numbers['rows']} rows, {numbers['total']} tokens, longest {numbers['max']}"
    if numbers["sequences"] > numbers["rows"]:
        text += f", in {numbers['sequences']} sequences, as the template changes earlier turns"
    if numbers["truncated"]:
        text += f", {numbers['truncated']} cut at {max_length}"
    if numbers["masked"]:
        text += f", {numbers['masked']} left out (no token of the answer within the limit)"
    return text
