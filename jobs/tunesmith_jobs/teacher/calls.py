"""A call to the teacher and its answer, as plain values that hold for every kind of endpoint."""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

Message = tuple[Literal["system", "user", "assistant"], str]
Shape = Literal["plan", "pairs", "grounded", "verdict", "text"]


def estimated_tokens(text: str) -> int:
    """Tokens in a text, rather too many than too few: one per three bytes of UTF-8."""
    return len(text.encode(errors="replace")) // 3


@dataclass(frozen=True)
class Call:
    """What is asked. How the endpoint is asked is left out: neither address nor output format enters the key.

    `cell` and `sample` tell apart calls that ask the same: an answer is found again by all of these together.
    `allowed`: the most tokens that the endpoint is asked for, thoughts among them; 0: `max_tokens`.
    """

    model: str
    messages: tuple[Message, ...]
    temperature: float
    max_tokens: int
    shape: Shape
    cell: int = 0
    sample: int = 0
    allowed: int = 0

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
    def text_tokens(self) -> int:
        """An estimate of the messages: of their texts, and some for each message."""
        return sum(estimated_tokens(text) + 8 for _, text in self.messages)

    @property
    def input_tokens(self) -> int:
        """A high estimate, for reservations: of the messages and the output schema."""
        return self.text_tokens + 200

    @property
    def most_tokens(self) -> int:
        """The most tokens that the call can take, asked and answered."""
        return self.input_tokens + self.most_output

    @property
    def most_output(self) -> int:
        """The most tokens that the answer can take, thoughts among them."""
        return self.allowed or self.max_tokens


@dataclass(frozen=True)
class Answer:
    """An answer.

    `raw`: the response's body; `seconds`: how long it took; `fresh`: this attempt paid for it.
    `finish_reason` is empty, or as OpenAI's protocol has it: `length` for an answer that was cut off,
    `content_filter` for one that was withheld. `output_tokens` include `thought_tokens`, which are not in
    `content`; `input_tokens` include `cached_tokens`, which were in the endpoint's cache.
    """

    raw: str
    content: str
    finish_reason: str
    refusal: str
    input_tokens: int
    output_tokens: int
    thought_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False  # the endpoint does not count what it is asked
    in_batch: bool = False  # it came in a batch, and costs what it costs there
    seconds: float = 0.0
    fresh: bool = True

    @property
    def tokens(self) -> int:
        """Tokens asked and answered."""
        return self.input_tokens + self.output_tokens
