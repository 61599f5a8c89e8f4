"""The forms in which an answer can be asked for, from the strictest to the plainest.

`parse_answers` reads all of them.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith_jobs.teacher.calls import Shape

LEVELS = ("json_schema", "json_object", "tags")

_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# The strict subset of JSON Schema that OpenAI takes: every member is required, no other is allowed, and
# there are no bounds.
SCHEMAS: Mapping[Shape, Mapping[str, Any]] = {
    "pairs": _object(pairs={"type": "array", "items": _object(prompt=_STRING, response=_STRING)}),
    "grounded": _object(
        pairs={"type": "array", "items": _object(prompt=_STRING, response=_STRING, evidence=_STRING)}
    ),
    "plan": _object(
        language=_STRING,
        responseLanguage=_STRING,
        prompts=_STRING,
        responses=_STRING,
        topics=_STRINGS,
        personas=_STRINGS,
        axes={"type": "array", "items": _object(name=_STRING, values=_STRINGS)},
        difficulties=_STRINGS,
    ),
    "verdict": _object(reason=_STRING, score={"type": "integer"}),
}

_JSON: Mapping[Shape, str] = {
    "pairs": (
        '\n\nAnswer with one JSON object: {"pairs": [{"prompt": "...", "response": "..."}]}. '
        "Both members are strings."
    ),
    "grounded": (
        '\n\nAnswer with one JSON object: {"pairs": [{"prompt": "...", "response": "...", '
        '"evidence": "..."}]}. '
        'All members are strings; {"pairs": []} if there is nothing to ask about.'
    ),
    "plan": (
        '\n\nAnswer with one JSON object: {"language": "...", "responseLanguage": "...", "prompts": "...", '
        '"responses": "...", '
        '"topics": ["..."], "personas": ["..."], '
        '"axes": [{"name": "...", "values": ["..."]}], "difficulties": ["..."]}.'
    ),
    "verdict": '\n\nAnswer with one JSON object: {"reason": "...", "score": 1 to 5}.',
    "text": "",
}
_TAGS = (
    "\n\nAnswer with each pair as <prompt>the prompt</prompt><response>the response</response> "
    "and nothing else."
)
_GROUNDED_TAGS = (
    "\n\nAnswer with each pair as <prompt>the prompt</prompt><response>the response</response>"
    "<evidence>the evidence</evidence> and nothing else; with <none/> if there is nothing to ask about."
)


def instruction(shape: Shape, level: str) -> str:
    """What is added to the system message to get a form that can be read.

    With a schema too: there are endpoints that take it and ignore it.
    """
    if level == "tags" and shape == "pairs":
        return _TAGS
    if level == "tags" and shape == "grounded":
        return _GROUNDED_TAGS
    return _JSON[shape]
