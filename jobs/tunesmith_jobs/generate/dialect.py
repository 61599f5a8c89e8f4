"""How an endpoint wants to be asked: found out by its 400 answers, once for all calls. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.calls import Call
from tunesmith_jobs.generate.parse import PAIRS_SCHEMA, PLAN_SCHEMA

LEVELS = ("json_schema", "json_object", "tags")
_SCHEMAS = {"pairs": PAIRS_SCHEMA, "plan": PLAN_SCHEMA}


@dataclass(frozen=True)
class Dialect:
    """What the endpoint knows, found out by its 400 answers."""

    level: str = LEVELS[0]
    tokens: str = "max_tokens"
    temperature: bool = True

    def body(self, call: Call) -> dict[str, Any]:
        """A call as the endpoint wants it."""
        (role, text), *rest = call.messages
        messages = [(role, text + prompts.form(call.shape, self.level)), *rest]
        body: dict[str, Any] = {
            "model": call.model,
            "messages": [{"role": role, "content": text} for role, text in messages],
            self.tokens: call.max_tokens,
        }
        if self.temperature:
            body["temperature"] = call.temperature
        if call.shape != "text" and self.level == "json_schema":
            schema = {"name": call.shape, "strict": True, "schema": _SCHEMAS[call.shape]}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if call.shape != "text" and self.level == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body

    def without(self, call: Call, message: str) -> "Dialect | None":
        """The dialect after a 400 or 422 that says `message`; None if the endpoint's forms are used up."""
        if self.tokens == "max_tokens" and "max_completion_tokens" in message:
            return replace(self, tokens="max_completion_tokens")
        if self.tokens == "max_completion_tokens" and "max_completion_tokens" in message:
            return replace(self, tokens="max_tokens")
        if self.temperature and "temperature" in message:
            return replace(self, temperature=False)
        if call.shape != "text" and self.level != LEVELS[-1]:
            return replace(self, level=LEVELS[LEVELS.index(self.level) + 1])
        return None
