"""A record becomes a row.

A record has a prompt and a response (and may have `system` and `history`, as our own datasets do), or chat
messages as OpenAI's fine-tuning takes them: an optional system message, then user and assistant in turn. The
last answer is what the model learns.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.settings import Fields
from tunesmith_jobs.own_data.reader import BadLine, Record
from tunesmith_jobs.rows import Row, Turn

_ROLES = ("user", "assistant")


def row_of(record: Record, fields: Fields) -> Row | BadLine:
    """The row in a record, or what is wrong with it."""
    name = f"l{record.line:06d}"
    try:
        if record.value.get(fields.messages):
            return _row_of_messages(name, record.value[fields.messages], fields.messages)
        return _row_of_texts(name, record.value, fields)
    except _Unusable as error:
        return BadLine(record.line, error.kind, str(error))


class _Unusable(ValueError):
    """`kind`: one of a few words, for counting."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def _row_of_texts(name: str, value: Mapping[str, Any], fields: Fields) -> Row:
    prompt, response = _text(value, fields.prompt), _text(value, fields.response)
    system = value.get("system")
    history = _messages(value.get("history") or [], "history")
    _check_roles(history, "history")
    return Row(
        id=name,
        prompt=prompt,
        response=response,
        system=system if isinstance(system, str) and system else None,
        history=_turns(history),
    )


def _row_of_messages(name: str, value: Any, field: str) -> Row:
    messages = _messages(value, field)
    system = None
    if messages and messages[0][0] in ("system", "developer"):
        system = messages.pop(0)[1]
    _check_roles(messages, field)
    if len(messages) < 2:
        raise _Unusable("no answer", f"{field!r} must have a user's message and the assistant's answer")
    (_, prompt), (_, response) = messages[-2:]
    if not prompt.strip() or not response.strip():
        raise _Unusable("empty message", f"the last two of {field!r} must not be empty")
    history = _turns(messages[:-2])
    return Row(id=name, prompt=prompt, response=response, system=system or None, history=history)


def _text(value: Mapping[str, Any], field: str) -> str:
    if field not in value:
        there = ", ".join(map(repr, list(value)[:6])) or "none"
        raise _Unusable(f"no {field}", f"has no field {field!r} (it has {there})")
    text = value[field]
    if not isinstance(text, str):
        raise _Unusable(f"{field} is no text", f"{field!r} must be a text and is {type(text).__name__}")
    if not text.strip():
        raise _Unusable(f"empty {field}", f"{field!r} is empty")
    return text


def _messages(value: Any, field: str) -> list[tuple[str, str]]:
    """Role and content of each message."""
    if not isinstance(value, list):
        raise _Unusable(f"{field} is no list", f"{field!r} must be a list of messages")
    messages = []
    for number, message in enumerate(value, start=1):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str):
            raise _Unusable("bad message", f"message {number} of {field!r} has no role")
        messages.append((role, _content(message.get("content"), number, field)))
    return messages


def _content(content: Any, number: int, field: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(_is_text_part(part) for part in content):
        return "".join(part["text"] for part in content)
    raise _Unusable("bad message", f"message {number} of {field!r} has no text as content")


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


def _check_roles(messages: list[tuple[str, str]], field: str) -> None:
    for number, (role, _) in enumerate(messages):
        if role != _ROLES[number % 2]:
            raise _Unusable(
                "roles",
                f"{field!r} must be user and assistant in turn, ending with assistant; there is {role!r}",
            )
    if len(messages) % 2:
        raise _Unusable("no answer", f"{field!r} must end with the assistant's answer")


def _turns(messages: Iterable[tuple[str, str]]) -> tuple[Turn, ...]:
    return tuple(Turn.model_validate({"role": role, "content": content}) for role, content in messages)
