"""A call to the teacher and its answer, as plain values."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

Message = tuple[Literal["system", "user", "assistant"], str]
Shape = Literal["plan", "pairs", "text"]


@dataclass(frozen=True)
class Call:
    """What is asked, without how the endpoint wants it said: neither address nor output format enter the key.

    `cell` and `sample` tell apart calls that ask the same: an answer is found again by all of these together.
    """

    model: str
    messages: tuple[Message, ...]
    temperature: float
    max_tokens: int
    shape: Shape
    cell: int = 0
    sample: int = 0

    @property
    def key(self) -> str:
        """The call's name in the journal: hex sha256."""
        text = json.dumps(
            [
                self.model,
                self.messages,
                self.temperature,
                self.max_tokens,
                self.shape,
                self.cell,
                self.sample,
            ],
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def input_tokens(self) -> int:
        """An upper guess, for reservations: a token per three bytes of UTF-8, and what the protocol adds to each message."""
        return sum(len(text.encode()) // 3 + 8 for _, text in self.messages) + 200  # 200: the output schema


@dataclass(frozen=True)
class Answer:
    """An answer as the endpoint gave it: `raw` is the body. `seconds`: how long it took; `fresh`: paid for by this attempt."""

    raw: str
    content: str
    finish_reason: str
    refusal: str
    input_tokens: int
    output_tokens: int
    seconds: float = 0.0
    fresh: bool = True


def read_answer(raw: str, *, seconds: float = 0.0, fresh: bool = True) -> Answer:
    """The answer in a response's body. Raises ValueError if that is none (a proxy's page, an error under status 200)."""
    try:
        body: Any = json.loads(raw)
        choice = body["choices"][0]
        message = choice["message"]
        usage = body.get("usage") or {}
        content = str.__str__(message.get("content") or "")  # a TypeError for what is no text
        return Answer(
            raw=raw,
            content=content,
            finish_reason=choice.get("finish_reason") or "",
            refusal=message.get("refusal") or "",
            input_tokens=int(usage.get("prompt_tokens") or 0),
            output_tokens=int(usage.get("completion_tokens") or 0) or len(content.encode()) // 3,
            seconds=seconds,
            fresh=fresh,
        )
    except (KeyError, IndexError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a chat completion: {raw[:120]!r}") from error
