"""The dialects of OpenAI's chat protocol. An endpoint's 400 answers tell which one it speaks. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from tunesmith_jobs.teacher import forms
from tunesmith_jobs.teacher.calls import Call

LEAST_TOKENS = 64  # of an answer, below which no limit is lowered
# Tokens for thoughts: the first step, and the most.
FIRST_ROOM, MOST_ROOM = 4096, 32_768
LIMITS = (
    "max_tokens",
    "max_completion_tokens",
    "",
)  # names of the limit; with none, the endpoint's own holds

_SYSTEM = re.compile(
    r"system.?(role|message|prompt|instruction)|role.{0,40}system|developer|alternat", re.IGNORECASE
)
_FORM = re.compile(r"response_format|json|schema|structured|grammar|guided", re.IGNORECASE)
_CONTEXT = re.compile(
    r"(?:context[ _-]?(?:length|window|size|limit)|max_model_len|must be <=)\D{0,20}(\d[\d,]*)"
    r"|(\d[\d,]*) (?:tokens )?(?:maximum )?context",
    re.IGNORECASE,
)
_INPUT = re.compile(
    r"(\d[\d,]*) (?:input tokens|`?inputs`?|in the messages)"
    r"|(?:prompt|input) (?:contains|has) (\d[\d,]*)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d[\d,]*")


@dataclass(frozen=True)
class Dialect:
    """What an endpoint knows, for one model.

    `level`: the form of answers; `tokens`: the name of the limit on tokens; `temperature`: whether it takes
    one; `system`: the role of the system message, `user` if it is put before the first turn of the user;
    `context`: the tokens of prompt and answer together; `most`: of an answer; 0: not known. `room`: tokens
    that are allowed in addition to the answer's, since the model thinks before it answers. `effort`: the
    request's, which is never left out; empty without one.
    """

    level: str = forms.LEVELS[0]
    tokens: str = LIMITS[0]
    temperature: bool = True
    system: Literal["system", "user"] = "system"
    context: int = 0
    most: int = 0
    room: int = 0
    effort: str = ""

    def allowed(self, call: Call) -> int:
        """The most tokens that an answer to this call may have, thoughts among them."""
        allowed = call.max_tokens + self.room
        if self.context:
            allowed = min(allowed, max(LEAST_TOKENS, self.context - call.input_tokens))
        return min(allowed, self.most) if self.most else allowed

    def body(self, call: Call) -> dict[str, Any]:
        """The request's body for a call."""
        body: dict[str, Any] = {"model": call.model, "messages": self._messages(call)}
        if self.tokens:
            body[self.tokens] = call.allowed or self.allowed(call)
        if self.temperature:
            body["temperature"] = call.temperature
        if self.effort:
            body["reasoning_effort"] = self.effort
        if call.shape != "text" and self.level == "json_schema":
            schema = {"name": call.shape, "strict": True, "schema": forms.SCHEMAS[call.shape]}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if call.shape != "text" and self.level == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body

    def _messages(self, call: Call) -> list[dict[str, str]]:
        (role, text), *rest = call.messages
        text += forms.instruction(call.shape, self.level)
        if role == "system" and self.system == "user":
            (_, first), *rest = rest
            role, text = "user", f"{text}\n\n{first}"
        return [{"role": role, "content": text} for role, text in [(role, text), *rest]]

    def others(self, call: Call, message: str) -> Iterator["Dialect"]:
        """The dialects to try after a 400 with this message: first those that it names."""
        if "Use 'max_completion_tokens' instead" in message:  # OpenAI's, and only of models that think
            yield self.thinking()
        named: list[Dialect] = []
        unnamed: list[Dialect] = []
        (named if "max_tokens" in message or "max_completion_tokens" in message else unnamed).extend(
            replace(self, tokens=name) for name in LIMITS
        )
        (named if "temperature" in message else unnamed).append(replace(self, temperature=False))
        if call.messages[0][0] == "system":
            (named if _SYSTEM.search(message) else unnamed).append(replace(self, system="user"))
        if call.shape != "text":
            lower = forms.LEVELS[forms.LEVELS.index(self.level) + 1 :]
            levels = [replace(self, level=level) for level in lower]
            named, unnamed = (named + levels, unnamed) if _FORM.search(message) else (named, levels + unnamed)
        yield from (other for other in named + unnamed if other != self)

    def thinking(self) -> "Dialect":
        """The dialect of OpenAI's models that think: https://platform.openai.com/docs/guides/reasoning."""
        return replace(
            self, tokens="max_completion_tokens", temperature=False, room=max(self.room, FIRST_ROOM)
        )

    def names(self, call: Call, message: str) -> bool:
        """Whether a message names something that this dialect could leave out or call otherwise."""
        words = [self.tokens, "temperature" if self.temperature else ""]
        named = any(word and word in message for word in words)
        system = self.system == "system" and call.messages[0][0] == "system" and _SYSTEM.search(message)
        form = call.shape != "text" and self.level != forms.LEVELS[-1] and _FORM.search(message)
        return bool(named or system or form)

    def shorter(self, call: Call, message: str) -> "Dialect | None":
        """The dialect after a 400 that says that prompt and answer are too long; None if none is shorter.

        The numbers in the message are believed where they are told apart, else the answer's half is tried.
        """
        asked = call.allowed or self.allowed(call)
        if asked <= LEAST_TOKENS:
            return None
        context, taken = _first(_CONTEXT, message), _first(_INPUT, message)
        if context:
            room = context - (taken if 0 < taken < context else call.input_tokens)
            other = replace(self, context=context)
            # The estimate of what is asked was too low, or so high that nothing is left.
            if other.allowed(call) >= asked or call.input_tokens > context:
                other = replace(other, most=max(LEAST_TOKENS, min(room - 16, asked - 1)))
            return other
        numbers = [_int(text) for text in _NUMBER.findall(message)]
        below = [number for number in numbers if LEAST_TOKENS <= number < asked]
        return replace(self, most=max(below) if below else max(LEAST_TOKENS, asked // 2))

    def __str__(self) -> str:
        parts = [f"{self.level} with {self.tokens or 'no limit on tokens'}"]
        if not self.temperature:
            parts.append("without a temperature, which it does not take")
        if self.system == "user":
            parts.append("with the system message in the user's turn")
        if self.context:
            parts.append(f"in a context of {self.context} tokens")
        if self.most:
            parts.append(f"with at most {self.most} tokens in an answer")
        if self.room:
            parts.append(f"with {self.room} more tokens for its thoughts")
        return ", ".join(parts)


def _first(pattern: re.Pattern[str], message: str) -> int:
    match = pattern.search(message)
    return _int(next(group for group in match.groups() if group)) if match else 0


def _int(text: str) -> int:
    return int(text.replace(",", "")) if len(text) < 12 else 0
