"""A teacher's text becomes pairs, a plan or a system message, in any form that is ever asked for.

The texts of `Unreadable` are part of calls: when one of them changes, every answer to a call that repeats it
is paid anew.
"""

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith_jobs.generate.dataset_plan import DatasetPlan
from tunesmith_jobs.rows import Verdict


class Unreadable(ValueError):
    """The answer is in none of the forms; the text says why, to the teacher too."""


class Pair(BaseModel):
    """A prompt, and the response that the model is to learn."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    response: str
    evidence: str = ""
    """Words of a passage on which the response rests, where a passage was given."""


_TAGS = re.compile(
    r"<prompt>(.*?)</prompt>\s*<response>(.*?)</response>(?:\s*<evidence>(.*?)</evidence>)?", re.DOTALL
)
_NONE = re.compile(r"\s*<none\s*/?>\s*")
_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)


def parse_pairs(text: str, most: int) -> list[Pair]:
    """The pairs in an answer, at most `most`, without blanks around the texts. Raises Unreadable."""
    try:
        pairs = _pairs_of_json(_json_in(text))
    except Unreadable:
        pairs = [
            Pair(prompt=prompt, response=response, evidence=evidence)
            for prompt, response, evidence in _TAGS.findall(text)
        ]
        if not pairs:
            raise
    return [
        Pair(prompt=pair.prompt.strip(), response=pair.response.strip(), evidence=pair.evidence.strip())
        for pair in pairs[:most]
    ]


def parse_grounded(text: str, most: int) -> list[Pair]:
    """The same where a passage was given, which may bear no pair at all. Raises Unreadable."""
    if _NONE.fullmatch(text):
        return []
    try:
        value = _json_in(text)
    except Unreadable:
        value = None
    if value == [] or (isinstance(value, dict) and value.get("pairs") == []):
        return []
    return parse_pairs(text, most)


def parse_plan(text: str) -> DatasetPlan:
    """The plan in an answer, without repeated or empty values. Raises Unreadable."""
    value = _json_in(text)
    if not isinstance(value, dict):
        raise Unreadable("the answer must be one JSON object")
    for name in ("language", "responseLanguage"):
        if not isinstance(value.get(name, ""), str):  # null, or a list of several
            value[name] = ""
    try:
        axes = [{"name": axis["name"], "values": _distinct(axis["values"])} for axis in value.get("axes", [])]
        lists = {name: _distinct(value.get(name, [])) for name in ("topics", "personas", "difficulties")}
        members = {**value, **lists, "axes": [axis for axis in axes if len(axis["values"]) > 1]}
        return DatasetPlan.model_validate_json(json.dumps(members))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Unreadable(f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(
            "axes must be a list of objects with name and values, values a list of strings"
        ) from error


def parse_verdict(text: str) -> Verdict:
    """The judge's verdict in an answer; `4/5` and `"4"` count as 4. Raises Unreadable."""
    value = _json_in(text)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise Unreadable("the answer must be one JSON object with reason and score")
    score = re.fullmatch(r"\s*([1-5])(?:\.0*)?(?:\s*/\s*5)?\s*", str(value.get("score")))
    if score is None:
        raise Unreadable("score must be a whole number from 1 to 5")
    return Verdict(reason=str(value.get("reason") or ""), score=int(score[1]))


def parse_system_message(text: str) -> str:
    """The system message in an answer, without fences and quotes around it.

    Raises Unreadable if nothing is left.
    """
    text = text.strip()
    fenced = _FENCE.fullmatch(text)
    if fenced is not None:
        text = fenced[1].strip()
    if _is_quoted(text):
        text = text[1:-1].strip()
    if not text:
        raise Unreadable("the system message is empty")
    return text


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`" and text[0] not in text[1:-1]


def _distinct(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise TypeError("not a list")
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
        evidence = entry.get("evidence") or ""
        quotes = evidence if isinstance(evidence, list) else [evidence]
        pairs.append(
            Pair(
                prompt=_text(entry["prompt"]),
                response=_text(entry["response"]),
                evidence=" ... ".join(map(_text, quotes)),
            )
        )
    return pairs


def _text(value: Any) -> str:
    """A text; JSON that the teacher wrote in place of a string that holds JSON is put into its short form."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_in(text: str) -> Any:
    """The JSON value that the text is, or that it holds in a fence, or that begins at its first brace.

    Nearly-JSON is read too, such as `\\d` in a string or a comma too many. What ends in the middle is not.
    """
    candidates = [text, *_FENCE.findall(text)]
    start = text.find("{")
    if start >= 0:
        candidates.append(text[start:])
    why = "it holds no JSON"
    for candidate in candidates:
        try:
            value, _ = json.JSONDecoder().raw_decode(candidate.strip())
        except (json.JSONDecodeError, RecursionError) as error:
            why = str(error)
            continue
        if isinstance(value, dict | list):
            return _with_backslashes(value)
    repaired = _repaired(candidates[-1])
    if repaired is not None:
        return repaired
    raise Unreadable(f"the answer is not readable as JSON: {why}")


def _repaired(text: str) -> Any | None:
    """The value of nearly-JSON; None if there is none, or if it ends in the middle."""
    import json_repair

    last = max(text.rfind("}"), text.rfind("]"))
    if last < 0 or text.count('"', last) % 2:
        return None
    try:
        value = json_repair.loads(text[: last + 1], skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) and value else None


def _with_backslashes(value: Any) -> Any:
    """The value with the backslashes that formulas lose: JSON reads `\\frac` as a form feed and `rac`."""
    if isinstance(value, str):
        return value.replace("\x0c", "\\f").replace("\x08", "\\b")
    if isinstance(value, list):
        return [_with_backslashes(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _with_backslashes(inner) for name, inner in value.items()}
    return value
