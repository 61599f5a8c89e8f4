"""A record becomes a row.

A record has a prompt and a response (and may have `system` and `history`, as our own datasets do), or chat
messages.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.settings import Fields
from tunesmith_jobs.own_data.columns import Columns, columns_of, system_column
from tunesmith_jobs.own_data.conversation import Unusable, messages_in, row_of_messages
from tunesmith_jobs.own_data.decode import lone_surrogate
from tunesmith_jobs.own_data.reader import BadLine, Numeral, Record
from tunesmith_jobs.rows import Row, Turn


@dataclass(frozen=True)
class Found:
    """A row, where it was found, and what people should know of it, each a sentence without a number."""

    row: Row
    columns: Columns
    notes: tuple[str, ...]


def row_of(record: Record, fields: Fields, name: str) -> Found | BadLine:
    """The row in a record, by the name it is to have, or what is wrong with it."""
    columns = columns_of(record.value, fields)
    try:
        if columns is None:
            raise _lacks(record.value, fields)
        if columns.messages:
            row, notes = _row_of_messages(name, record.value, columns)
        else:
            row, notes = _row_of_texts(name, record.value, columns)
        _check_characters(row)
    except Unusable as error:
        return BadLine(record.line, error.kind, readable(str(error)))
    return Found(row, columns, (*notes, *_not_used(record.value, columns)))


def readable(text: str) -> str:
    """The text with halves of characters written out, as no file and no terminal takes them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _lacks(value: Mapping[str, Any], fields: Fields) -> Unusable:
    lacking = next((name for name in (fields.prompt, fields.response) if name not in value), fields.prompt)
    there = ", ".join(map(repr, list(value)[:6])) or "none"
    return Unusable(f"no {lacking}", f"has no field {lacking!r} (it has {there})")


def _row_of_messages(name: str, value: Mapping[str, Any], columns: Columns) -> tuple[Row, list[str]]:
    system = system_column(value)
    messages = _nested(value[columns.messages])
    return row_of_messages(name, messages, columns.messages, value[system] if system else None)


def _row_of_texts(name: str, value: Mapping[str, Any], columns: Columns) -> tuple[Row, list[str]]:
    if isinstance(value[columns.prompt], list):
        return _row_of_two_lists(name, value, columns)
    notes: dict[str, None] = {}
    prompt, response = _text(value, columns.prompt, notes), _text(value, columns.response, notes)
    if columns.input and value.get(columns.input) is not None:
        extra = _text(value, columns.input, notes, may_be_empty=True)
        prompt = f"{prompt}\n{extra}" if extra.strip() else prompt
    system = system_column(value)
    row = Row(
        id=name,
        prompt=prompt,
        response=response,
        system=value[system] if system else None,
        history=_history(_nested(value.get("history")) or [], notes),
    )
    return row, list(notes)


def _row_of_two_lists(name: str, value: Mapping[str, Any], columns: Columns) -> tuple[Row, list[str]]:
    """Prompt and completion as messages, as trl takes them: only the completion is learnt."""
    asked, answered = value[columns.prompt], value[columns.response]
    asked = [each | {"weight": 0} if isinstance(each, dict) else each for each in asked]
    answered = answered if isinstance(answered, list) else [{"role": "assistant", "content": answered}]
    system = system_column(value)
    row, notes = row_of_messages(name, [*asked, *answered], columns.prompt, value[system] if system else None)
    return row, [note for note in notes if "weight 0" not in note]


def _text(value: Mapping[str, Any], field: str, notes: dict[str, None], *, may_be_empty: bool = False) -> str:
    text = value[field]
    if isinstance(text, Numeral) or (isinstance(text, int | float) and not isinstance(text, bool)):
        notes[f"numbers in {field!r} are read as texts"] = None
        text = str(text)
    if text is None:
        raise Unusable(f"empty {field}", f"{field!r} is null")
    if not isinstance(text, str):
        raise Unusable(f"{field} is no text", f"{field!r} must be a text and is {_kind(text)}")
    if not text.strip() and not may_be_empty:
        raise Unusable(f"empty {field}", f"{field!r} is empty")
    return text


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false"}
    return next((words for kind, words in kinds.items() if isinstance(value, kind)), type(value).__name__)


def _history(value: Any, notes: dict[str, None]) -> tuple[Turn, ...]:
    """The turns of our own datasets, or the pairs of LLaMA-Factory, whose answers are learnt."""
    if isinstance(value, list) and all(_is_pair(pair) for pair in value):
        turns = [
            {"role": role, "content": text, "learnt": role == "assistant"}
            for pair in value
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        return tuple(Turn.model_validate(turn) for turn in turns)
    messages = messages_in(value, "history", notes)
    for number, each in enumerate(messages):
        if each.role != ("user", "assistant")[number % 2]:
            raise Unusable("roles", f"'history' must be user and assistant in turn; there is {each.role!r}")
    if len(messages) % 2:
        raise Unusable("no answer", "'history' must end with the assistant's answer")
    notes.pop("'learnt' of messages is not used", None)
    return tuple(
        Turn.model_validate(
            {"role": each.role, "content": each.content, "learnt": turn.get("learnt") is True}
        )
        for each, turn in zip(messages, value, strict=True)
    )


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(text, str) for text in value)
    )


def _nested(value: Any) -> Any:
    """A list that a cell of a table holds as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _check_characters(row: Row) -> None:
    texts = {"the prompt": row.prompt, "the response": row.response, "the system message": row.system or ""}
    texts |= {f"message {number} before it": turn.content for number, turn in enumerate(row.history, start=1)}
    for where, text in texts.items():
        if why := lone_surrogate(text):
            raise Unusable("no UTF-8", f"{why}, in {where}")


def _not_used(value: Mapping[str, Any], columns: Columns) -> list[str]:
    """Members of a record that its row has nothing of."""
    used = columns.used | {system_column(value)} | (frozenset() if columns.messages else {"history"})
    return [
        f"column {readable(name)!r} is not used"
        for name, member in value.items()
        if name not in used and member not in (None, "", [], {})
    ]
