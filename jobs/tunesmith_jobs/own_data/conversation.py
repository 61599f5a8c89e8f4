"""Messages of a chat, as OpenAI's fine-tuning or ShareGPT write them, become one row. Pure.

All answers of the assistant are learnt, as OpenAI's fine-tuning does, but for those of `weight` 0. The last
answer that is learnt is the row's response; what comes before is its history.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith_jobs.own_data.reader import Numeral
from tunesmith_jobs.rows import Row, Turn

_ROLES: Mapping[str, str] = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai", "bing", "bard"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(
        (
            "tool",
            "function",
            "function_call",
            "function_response",
            "observation",
            "tool_call",
            "tool_response",
        ),
        "tool",
    ),
}
_READ = frozenset({"role", "from", "content", "value", "text", "weight"})
_CALLS = ("tool_calls", "function_call")
_IN_TURN = ("user", "assistant")


class Unusable(ValueError):
    """A record that gives no row. `kind`: one of a few words, for counting."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True)
class Message:
    """A message. `learnt`: of an answer, whether it has no weight of 0."""

    role: str
    content: str
    learnt: bool = True


def row_of_messages(name: str, value: Any, field: str, system: str | None) -> tuple[Row, list[str]]:
    """The row, and what people should know of it. `system`: the record's own, if the chat has none.

    Raises Unusable.
    """
    notes: dict[str, None] = {}
    messages = messages_in(value, field, notes)
    first = next((number for number, each in enumerate(messages) if each.role != "system"), len(messages))
    leading, turns = messages[:first], messages[first:]
    if len(leading) > 1:
        notes["several system messages at its beginning are joined to one"] = None
    own = "\n\n".join(each.content for each in leading if each.content.strip()) or system
    _check_roles(turns, field)
    end = _last_learnt(turns, field)
    if end < len(turns) - 1:
        notes["messages after the last answer that is learnt are not used"] = None
    turns = turns[: end + 1]
    if any(each.role == "assistant" and not each.learnt for each in turns):
        notes["answers of weight 0 are read, not learnt"] = None
    for each, before in zip(turns[1::2], turns[::2], strict=True):
        if each.learnt and not (each.content.strip() and before.content.strip()):
            raise Unusable("empty message", f"an answer of {field!r}, or what it answers, is empty")
    history = tuple(
        Turn.model_validate(
            {"role": each.role, "content": each.content, "learnt": each.role == "assistant" and each.learnt}
        )
        for each in turns[:-2]
    )
    prompt, response = turns[-2].content, turns[-1].content
    return Row(id=name, prompt=prompt, response=response, system=own or None, history=history), list(notes)


def messages_in(value: Any, field: str, notes: dict[str, None]) -> list[Message]:
    """The messages of a list. `notes`: gets what people should know of them. Raises Unusable."""
    if not isinstance(value, list):
        raise Unusable(f"{field} is no list", f"{field!r} must be a list of messages")
    return [_message(message, number, field, notes) for number, message in enumerate(value, start=1)]


def _message(message: Any, number: int, field: str, notes: dict[str, None]) -> Message:
    where = f"message {number} of {field!r}"
    spoken = None
    if isinstance(message, dict):
        spoken = message.get("role") or message.get("from")
    if not isinstance(spoken, str):
        raise Unusable("bad message", f"{where} has no role")
    role = _ROLES.get(spoken.strip().lower())
    if role is None:
        known = "system, user and assistant (ShareGPT: human and gpt)"
        raise Unusable("bad message", f"{where} has the role {spoken!r}; roles are {known}")
    if role == "tool" or any(message.get(name) for name in _CALLS):
        raise Unusable("tool calls", f"{where} is about a tool's call, which cannot be learnt here")
    for name in sorted(message.keys() - _READ):
        if message[name] not in (None, "", [], {}):
            notes[f"{name!r} of messages is not used"] = None
    content = next((message[name] for name in ("content", "value", "text") if name in message), None)
    return Message(role, _content(content, where), learnt=_weight(message.get("weight"), where))


def _weight(weight: Any, where: str) -> bool:
    if weight is None:
        return True
    try:
        number = float(weight)
    except (TypeError, ValueError):
        number = -1.0
    if number not in (0, 1):
        raise Unusable("bad message", f"{where} has the weight {weight!r}, which must be 0 or 1")
    return number == 1


def _content(content: Any, where: str) -> str:
    if isinstance(content, str) and not isinstance(content, Numeral):
        return content
    if isinstance(content, list) and content:
        parts = [part for part in content if isinstance(part, dict)]
        kinds = sorted({str(part.get("type", "")) for part in parts} - {"text", ""})
        if kinds:
            raise Unusable("not text only", f"{where} has parts that are no text ({', '.join(kinds)})")
        if len(parts) == len(content) and all(isinstance(part.get("text"), str) for part in parts):
            return "".join(part["text"] for part in parts)
    raise Unusable("bad message", f"{where} has no text as content")


def _check_roles(turns: list[Message], field: str) -> None:
    for number, each in enumerate(turns):
        if each.role != _IN_TURN[number % 2]:
            raise Unusable(
                "roles", f"{field!r} must be user and assistant in turn, after system; there is {each.role!r}"
            )


def _last_learnt(turns: list[Message], field: str) -> int:
    """The index of the last answer that is learnt."""
    answers = [number for number, each in enumerate(turns) if each.role == "assistant"]
    if not answers:
        raise Unusable("no answer", f"{field!r} must have a user's message and the assistant's answer")
    learnt = [number for number in answers if turns[number].learnt]
    if not learnt:
        raise Unusable("nothing to learn", f"every answer of {field!r} has weight 0")
    return learnt[-1]
