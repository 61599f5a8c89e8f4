"""The dataset as other tools take it, beside the rows: a dataset card, and chat messages. Pure.

`datasets.load_dataset(FOLDER)` reads the card's `configs`, and so neither the report nor what was rejected.
The messages are those of OpenAI's fine-tuning, which others take too.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

import yaml
from pydantic import JsonValue

from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.markdown import fenced
from tunesmith_jobs.rows import Row

CARD = "README.md"
CHAT = "chat"  # folder of the messages


def chat_lines(rows: Iterable[Row], system_message: str) -> bytes:
    """JSON Lines: `messages` of each row. An answer that is not to be learnt has the weight 0."""
    lines = (json.dumps({"messages": _messages(row, system_message)}, ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def dataset_card(
    dataset: Dataset, splits: Mapping[str, Sequence[int]], *, name: str, task: str, origin: str
) -> str:
    """The card. `splits`: rows of each split by its name; `origin`: who wrote the rows, in a few words.

    A split without rows is left out, as `datasets` refuses an empty file.
    """
    files = [{"split": split, "path": f"{split}.jsonl"} for split, rows in splits.items() if rows]
    head: dict[str, object] = {"configs": [{"config_name": "default", "data_files": files}]}
    if dataset.plan is not None and dataset.plan.language:
        head["language_details"] = dataset.plan.language
    head["tags"] = ["tunesmith"]
    counts = ", ".join(f"{len(rows)} {split}" for split, rows in splits.items() if rows)
    left_out = sum(dataset.reasons().values())
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n"
        f"# Dataset of {name}\n\n{len(dataset.rows)} rows: {counts}. {origin} "
        f"{left_out} others were left out.\n\n"
        f"Each row has `id`, `prompt` and `response`; some have `history` (earlier turns), `system` "
        f"(a system message of their own) or `verdict` (a judge's).\n\n"
        f"## Task\n\n{fenced(task)}\n\n## System message\n\n{fenced(dataset.system_message)}\n\n"
        f"## Use\n\n{fenced(_USE, 'python')}\n\n"
        f"`{CHAT}/` has the same rows as chat messages, as OpenAI's fine-tuning takes them.\n"
    )


_USE = """from datasets import load_dataset

dataset = load_dataset("path/to/this/folder")"""


def _messages(row: Row, system_message: str) -> list[dict[str, JsonValue]]:
    system = system_message if row.system is None else row.system
    messages: list[dict[str, JsonValue]] = [{"role": "system", "content": system}] if system else []
    for turn in row.history:
        weight = {"weight": 0} if turn.role == "assistant" and not turn.learnt else {}
        messages.append({"role": turn.role, "content": turn.content, **weight})
    messages.append({"role": "user", "content": row.prompt})
    messages.append({"role": "assistant", "content": row.response})
    return messages
