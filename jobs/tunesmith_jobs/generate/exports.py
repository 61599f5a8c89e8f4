"""The dataset as other tools take it, beside the rows: a dataset card, and chat messages. Pure.

`datasets.load_dataset(FOLDER)` reads the card's `configs`, and so neither the report nor what was rejected.
The messages are those of OpenAI's fine-tuning, which others take too.
"""

import json
from collections.abc import Iterable, Mapping

import yaml
from pydantic import JsonValue

from tunesmith_jobs import model_card
from tunesmith_jobs.chat import conversation
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.markdown import fenced
from tunesmith_jobs.rows import Row

CARD = "README.md"
CHAT = "chat"  # folder of the messages


def chat_lines(rows: Iterable[Row], system_message: str) -> bytes:
    """JSON Lines: `messages` of each row. An answer that is not to be learnt has the weight 0."""
    lines = (json.dumps({"messages": _messages(row, system_message)}, ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def dataset_card(dataset: Dataset, origin: model_card.Dataset, *, name: str, task: str) -> str:
    """The card. `origin`: who wrote the rows, and the splits that have any, as an empty file is refused."""
    files = [{"split": split, "path": f"{split}.jsonl"} for split in origin.rows]
    head: dict[str, object] = {"configs": [{"config_name": "default", "data_files": files}]}
    if dataset.plan is not None and dataset.plan.language:
        head["language_details"] = dataset.plan.language
    head["tags"] = ["tunesmith"]
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n"
        f"# Dataset of {name}\n\n{model_card.said_of(origin)}\n- Left out: {len(dataset.rejected)}\n\n"
        f"Each row has `id`, `prompt` and `response`; some have `history` (earlier turns), `system` "
        f"(a system message of their own) or `verdict` (a judge's).{_grounded(origin)}\n\n"
        f"## Task\n\n{fenced(task)}\n\n## System message\n\n{fenced(dataset.system_message)}\n\n"
        f"## Use\n\n{fenced(_USE, 'python')}\n\n"
        f"`{CHAT}/` has the same rows as chat messages, as OpenAI's fine-tuning takes them.\n"
    )


def _grounded(origin: model_card.Dataset) -> str:
    if not origin.documents:
        return ""
    return " `passage` names where a row comes from, and `evidence` has the words that it rests on."


_USE = """from datasets import load_dataset

dataset = load_dataset("path/to/this/folder")"""


def _messages(row: Row, system_message: str) -> list[Mapping[str, JsonValue]]:
    asked, answer = conversation(system_message, row.to_json())
    messages: list[Mapping[str, JsonValue]] = [*asked, *answer]
    first = len(asked) - 1 - len(row.history)
    for place, turn in enumerate(row.history, start=first):
        if turn.role == "assistant" and not turn.learnt:
            messages[place] = {**messages[place], "weight": 0}
    return messages
