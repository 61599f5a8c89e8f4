"""What the teacher wrote -> pairs or a plan. Accepts every form that the ladder asks for, whatever was asked."""

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Unreadable(ValueError):
    """The answer holds nothing of the form that was asked for; the text says what is wrong, for the teacher too."""


class Pair(BaseModel):
    """A prompt and the response that the model shall learn."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    response: str


class Axis(BaseModel):
    """Something in which prompts differ, and the values it takes."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1)
    values: tuple[str, ...] = Field(min_length=2)


class Plan(BaseModel):
    """How a dataset is spread: made once by the teacher, before any pair."""

    model_config = ConfigDict(frozen=True)

    language: str = ""
    prompts: str = Field(min_length=1)
    responses: str = Field(min_length=1)
    topics: tuple[str, ...] = Field(min_length=1)
    axes: tuple[Axis, ...] = ()
    difficulties: tuple[str, ...] = ()


_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# Strict subset of JSON Schema that OpenAI takes: everything required, nothing else allowed, no bounds.
PAIRS_SCHEMA = _object(pairs={"type": "array", "items": _object(prompt=_STRING, response=_STRING)})
PLAN_SCHEMA = _object(
    language=_STRING,
    prompts=_STRING,
    responses=_STRING,
    topics=_STRINGS,
    axes={"type": "array", "items": _object(name=_STRING, values=_STRINGS)},
    difficulties=_STRINGS,
)

_TAGS = re.compile(r"<prompt>(.*?)</prompt>\s*<response>(.*?)</response>", re.DOTALL)
_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)


def parse_pairs(text: str, most: int) -> list[Pair]:
    """The pairs in an answer, at most `most`, texts stripped of blanks around them. Raises Unreadable."""
    try:
        pairs = _pairs_of_json(_json_in(text))
    except Unreadable:
        pairs = [Pair(prompt=prompt, response=response) for prompt, response in _TAGS.findall(text)]
        if not pairs:
            raise
    return [Pair(prompt=pair.prompt.strip(), response=pair.response.strip()) for pair in pairs[:most]]


def parse_plan(text: str) -> Plan:
    """The plan in an answer, without repeated or empty values. Raises Unreadable."""
    value = _json_in(text)
    if not isinstance(value, dict):
        raise Unreadable("the answer must be one JSON object")
    try:
        axes = [{**axis, "values": _distinct(axis["values"])} for axis in value.get("axes", [])]
        lists = {name: _distinct(value.get(name, [])) for name in ("topics", "difficulties")}
        return Plan.model_validate(
            {**value, **lists, "axes": [axis for axis in axes if len(axis["values"]) > 1]}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Unreadable(f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(
            "axes must be a list of objects with name and values, values a list of strings"
        ) from error


def parse_system_message(text: str) -> str:
    """The system message in an answer: without fences and quotes around it. Raises Unreadable if nothing is left."""
    text = text.strip()
    if (fenced := _FENCE.fullmatch(text)) is not None:
        text = fenced[1].strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`" and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    if not text:
        raise Unreadable("the system message is empty")
    return text


def _distinct(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise TypeError("no list")
    return list(dict.fromkeys(value.strip() for value in values if value.strip()))


def _pairs_of_json(value: Any) -> list[Pair]:
    if isinstance(value, dict):
        value = value.get("pairs", [value])
    if not isinstance(value, list) or not value:
        raise Unreadable('the answer must be a JSON object {"pairs": [{"prompt": ..., "response": ...}]}')
    pairs = []
    for entry in value:
        if not isinstance(entry, dict) or not {"prompt", "response"} <= entry.keys():
            raise Unreadable("every pair must have the members prompt and response")
        pairs.append(Pair(prompt=_text(entry["prompt"]), response=_text(entry["response"])))
    return pairs


def _text(value: Any) -> str:
    """A text; where the teacher wrote JSON in place of a string that holds JSON, that JSON in its short form."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_in(text: str) -> Any:
    """The JSON value that the text is, or holds in a fence, or from its first brace on."""
    candidates = [text, *_FENCE.findall(text)]
    if (start := text.find("{")) >= 0:
        candidates.append(text[start:])
    why = "it holds no JSON"
    for candidate in candidates:
        try:
            value, _ = json.JSONDecoder().raw_decode(candidate.strip())
        except json.JSONDecodeError as error:
            why = str(error)
            continue
        if isinstance(value, dict | list):
            return value
    raise Unreadable(f"the answer is not readable as JSON: {why}")
