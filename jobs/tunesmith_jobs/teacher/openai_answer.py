"""Reads the body of a chat completion: its text, apart from the model's thoughts, and what it cost. Pure.

Endpoints hand thoughts over in many ways: in a member of their own, as parts of the content, between marks in
the text, or only as a number of tokens. None of them is data.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from tunesmith_jobs.log_lines import without_secrets
from tunesmith_jobs.teacher.calls import Answer, estimated_tokens

# What begins and ends thoughts in a text: DeepSeek, Qwen and most others; Gemini; Seed; Magistral; Kimi.
_MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
# gpt-oss, where a server does not read its channels: https://cookbook.openai.com/articles/openai-harmony
_FINAL = "<|channel|>final<|message|>"
_CONTROL = re.compile(r"<\|(?:end|return|start|channel|message)\|>")
_DATA = ("{", "[", "`", "<prompt>")  # how an answer begins that is in one of the forms asked for
_THOUGHT_MEMBERS = ("reasoning_content", "reasoning", "thinking", "thoughts")
_CUT = {"length", "max_tokens", "model_length", "max_output_tokens", "token_limit"}
_WITHHELD = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive"}


class ErrorBody(Exception):
    """A body that holds an error under status 200, as routers send it. `status`: the one it names, or 0."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def read_answer(raw: str, *, seconds: float = 0.0, fresh: bool = True) -> Answer:
    """The answer in a body.

    Raises ErrorBody for an error, and ValueError for any other body, such as a proxy's page.
    """
    try:
        body: Any = json.loads(raw)
        error = body.get("error") or (body.get("choices") or [{}])[0].get("error")
        if error:
            raise _error_body(error)
        choice = body["choices"][0]
        message = choice["message"]
        given, beside = _texts(message.get("content"))
        content, inside, open_ended = separate(given)
        thoughts = "".join([beside, inside, *_members(message)])
        finish = _finish(str(choice.get("finish_reason") or ""))
        usage = body.get("usage") or {}
        return Answer(
            raw=raw,
            content=_text(content),
            finish_reason="length" if open_ended and finish != "content_filter" else finish,
            refusal=_text(str(message.get("refusal") or "")),
            input_tokens=_number(usage.get("prompt_tokens")),
            output_tokens=_output(usage) or estimated_tokens(given + thoughts),
            thought_tokens=_thought_tokens(usage) or estimated_tokens(thoughts),
            cached_tokens=_cached_tokens(usage),
            seconds=seconds,
            fresh=fresh,
        )
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
        raise ValueError(f"not a chat completion: {without_secrets(raw)[:120]!r}") from error


def separate(text: str) -> tuple[str, str, bool]:
    """The text without thoughts, the thoughts, and whether they do not end: then there is no text.

    Some servers give the mark at the beginning to the model, so that only the one at the end is in the text.
    """
    if _FINAL in text:
        before, _, after = text.rpartition(_FINAL)
        return _CONTROL.split(after)[0].strip(), before, False
    rest, thoughts = text, ""
    while (marks := _marks_at(rest.lstrip())) is not None:
        opening, closing = marks
        inside, closed, after = rest.lstrip().removeprefix(opening).partition(closing)
        thoughts += inside
        if not closed:
            return "", thoughts, True
        rest = after.lstrip()
    if rest == text and not text.lstrip().startswith(_DATA):
        for opening, closing in _MARKS:
            inside, closed, after = text.partition(closing)
            if closed and opening not in inside:
                return after.lstrip(), inside, False
    return rest, thoughts, False


def _marks_at(text: str) -> tuple[str, str] | None:
    return next((marks for marks in _MARKS if text.startswith(marks[0])), None)


def _texts(content: Any) -> tuple[str, str]:
    """The text of a content, and the thoughts that are parts of it. Raises TypeError for anything else."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if not isinstance(content, list):
        raise TypeError("neither a text nor a list of parts")
    text, thoughts = "", ""
    for part in content:
        if isinstance(part, str):
            text += part
        elif part.get("type") in ("thinking", "reasoning"):
            thoughts += _all_texts(part.get(part["type"]) or part.get("text"))
        else:
            text += str(part.get("text") or "")
    return text, thoughts


def _members(message: Mapping[str, Any]) -> list[str]:
    return [_all_texts(message.get(name)) for name in _THOUGHT_MEMBERS]


def _all_texts(value: Any) -> str:
    if isinstance(value, list):
        return "".join(map(_all_texts, value))
    return _all_texts(value.get("text")) if isinstance(value, dict) else str(value or "")


def _text(text: str) -> str:
    """A text that can be written as UTF-8: half a character is replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _finish(reason: str) -> str:
    """Why an answer has ended, in OpenAI's words."""
    lower = reason.lower()
    if lower in _CUT:
        return "length"
    return "content_filter" if lower in _WITHHELD else reason


def _output(usage: Mapping[str, Any]) -> int:
    """Tokens that were written. Some endpoints (xAI's, Gemini's) count thoughts in the total only."""
    completion = _number(usage.get("completion_tokens"))
    return max(completion, _number(usage.get("total_tokens")) - _number(usage.get("prompt_tokens")))


def _thought_tokens(usage: Mapping[str, Any]) -> int:
    details = usage.get("completion_tokens_details")
    told = _number(details.get("reasoning_tokens")) if isinstance(details, dict) else 0
    return told or max(0, _output(usage) - _number(usage.get("completion_tokens")))


def _cached_tokens(usage: Mapping[str, Any]) -> int:
    """Tokens of the input that were in the cache; DeepSeek has a member of its own."""
    details = usage.get("prompt_tokens_details")
    told = _number(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return min(told or _number(usage.get("prompt_cache_hit_tokens")), _number(usage.get("prompt_tokens")))


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e12 else 0


def _error_body(error: Any) -> ErrorBody:
    if not isinstance(error, dict):
        return ErrorBody(0, "", str(error))
    code = error.get("code") or error.get("status") or ""
    status = _number(code) or (int(code) if str(code).isdigit() else 0)
    return ErrorBody(status, str(code), str(error.get("message") or error))
