"""The dialects of OpenAI's chat protocol. An endpoint's 400 answers tell which one it speaks. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from tunesmith_jobs.teacher import forms
from tunesmith_jobs.teacher.calls import Call


@dataclass(frozen=True)
class Dialect:
    """What an endpoint knows: a form of answers, a name for the limit on tokens, and maybe a temperature."""

    level: str = forms.LEVELS[0]
    tokens: str = "max_tokens"
    temperature: bool = True

    def body(self, call: Call) -> dict[str, Any]:
        """The request's body for a call."""
        (role, text), *rest = call.messages
        messages = [(role, text + forms.instruction(call.shape, self.level)), *rest]
        body: dict[str, Any] = {
            "model": call.model,
            "messages": [{"role": role, "content": text} for role, text in messages],
            self.tokens: call.max_tokens,
        }
        if self.temperature:
            body["temperature"] = call.temperature
        if call.shape != "text" and self.level == "json_schema":
            schema = {"name": call.shape, "strict": True, "schema": forms.SCHEMAS[call.shape]}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if call.shape != "text" and self.level == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body

    def without(self, call: Call, message: str) -> "Dialect | None":
        """The dialect to try after a 400 or 422 with this message; None if there is no other."""
        if self.tokens == "max_tokens" and "max_completion_tokens" in message:
            return replace(self, tokens="max_completion_tokens")
        if self.tokens == "max_completion_tokens" and "max_completion_tokens" in message:
            return replace(self, tokens="max_tokens")
        if self.temperature and "temperature" in message:
            return replace(self, temperature=False)
        if call.shape != "text" and self.level != forms.LEVELS[-1]:
            return replace(self, level=forms.LEVELS[forms.LEVELS.index(self.level) + 1])
        return None

    def __str__(self) -> str:
        without = "" if self.temperature else ", without a temperature, which it does not take"
        return f"{self.level} with {self.tokens}{without}"
