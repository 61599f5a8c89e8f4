"""What must hold for the further headers, query and body of requests to the teacher. Pure.

A structural schema bounds the values of a mapping, but not its names, and sees nothing of what a body holds.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tunesmith.rule import Part, Rule, mapping
from tunesmith.wire import member_variable

_PATH = "data.teacher"
_MODEL_NAME = 253  # characters
_BODY_TEXT, _BODY_DEPTH = (
    16_000,
    8,
)  # characters of the body's members as JSON; mappings and lists in each other

# No \s, \w or \d, which Go's regular expressions read otherwise than Python's.
_NAME = "^[A-Za-z0-9][A-Za-z0-9_.$-]{0,127}$"
_QUERY = "[?][^/?]*="
# They say where a request goes, how it is framed, and in what form the answer comes.
_OF_TRANSPORT = (
    "(?i)^(host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|via|range|forwarded|content-.*"
    "|accept|accept-encoding|proxy-.*|x-forwarded-.*|x-original-.*|x-rewrite-.*|x-http-method.*|if-.*)$"
)
_OF_CREDENTIAL = (
    "(?i)(authorization|cookie|token$|secret|passw|credential|signature|(^|[-_])auth$|^(key|sig|code)$"
    "|(api|apim|access|subscription|auth|private|virtual|master|license|account)[-_]?key)"
)
_LIKE_CREDENTIAL = (
    "(?i)(^(bearer|basic|token|api-?key) +[^ ]{8,}$"
    "|^(sk-|sk_|pk-|rk-|hf_|gsk_|xai-|csk-|nvapi-|pplx-|r8_|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|aiza|ya29[.]|eyj"
    "|akia|asia)[A-Za-z0-9_.-]{12,}$|^[0-9a-f]{32,}$|^[A-Za-z0-9+/_]{40,}=*$)"
)

# Members of the body that each call has, or that would change what an answer is: what to set instead.
OWN_MEMBERS: Mapping[str, str] = {
    "model": "set data.teacher.model",
    "messages": "describe the task in `task`; data.systemMessage and data.seeds say more",
    "max_tokens": "set data.maxTokens",
    "max_completion_tokens": "set data.maxTokens",
    "temperature": "set data.temperature",
    "reasoning_effort": "set data.teacher.reasoningEffort",
    "response_format": "leave it out: each call asks for the form that it can read",
    "n": "set data.pairsPerCall",
    "stream": "leave it out: answers are read whole",
    "stream_options": "leave it out: answers are read whole",
    "tools": "leave it out: an answer is a text",
    "tool_choice": "leave it out: an answer is a text",
    "functions": "leave it out: an answer is a text",
    "function_call": "leave it out: an answer is a text",
}


def _names(teacher: Part, field: str) -> list[str]:
    return [name for name in mapping(teacher.get(field)) if isinstance(name, str)]


def _named(field: str, wrong: Callable[[str], bool]) -> Callable[[Part], Sequence[str]]:
    """The members of a field whose names are wrong."""
    return lambda teacher: [name for name in _names(teacher, field) if wrong(name)]


def _malformed(name: str) -> bool:
    return re.fullmatch(_NAME, name) is None


def _of_transport(name: str) -> bool:
    return re.search(_OF_TRANSPORT, name) is not None


def _of_credential(name: str) -> bool:
    return re.search(_OF_CREDENTIAL, name) is not None


def _with_credential(field: str) -> Callable[[Part], Sequence[str]]:
    """The members of a field that are a credential, by their names or by their values."""

    def broken(teacher: Part) -> Sequence[str]:
        members = mapping(teacher.get(field))
        return [
            name
            for name, value in members.items()
            if _of_credential(str(name)) or (isinstance(value, str) and re.search(_LIKE_CREDENTIAL, value))
        ]

    return broken


def _twice(plain: str, secret: str, prefix: str) -> Callable[[Part], Sequence[str]]:
    """The members of two fields that have one name: neither case counts, nor the signs between words."""

    def broken(teacher: Part) -> Sequence[str]:
        seen: set[str] = set()
        again = []
        for name in (*_names(teacher, plain), *_names(teacher, secret)):
            variable = member_variable(prefix, name)
            if variable in seen:
                again.append(name)
            seen.add(variable)
        return again

    return broken


def _secrets_in_body(teacher: Part) -> Sequence[str]:
    body = mapping(teacher.get("body"))
    return [name for name, value in body.items() if any(_credentials(str(name), value, _BODY_DEPTH))]


def _credentials(name: str, value: Any, deeper: int) -> Iterator[bool]:
    """Whether a member of the body, or one within it, is a credential."""
    if isinstance(value, str):
        yield _of_credential(name) or re.search(_LIKE_CREDENTIAL, value) is not None
    if deeper and isinstance(value, Mapping):
        for key, member in value.items():
            yield from _credentials(str(key), member, deeper - 1)
    if deeper and isinstance(value, list | tuple):
        for item in value:
            yield from _credentials(name, item, deeper - 1)


def _too_much_body(teacher: Part) -> bool:
    body = teacher.get("body")
    if not isinstance(body, Mapping):
        return False
    try:
        return len(json.dumps(body, ensure_ascii=False)) > _BODY_TEXT or _depth(body, 0) > _BODY_DEPTH
    except (TypeError, ValueError, RecursionError):
        return True


def _depth(value: Any, above: int) -> int:
    if above > _BODY_DEPTH or not isinstance(value, Mapping | list | tuple):
        return above
    inner = value.values() if isinstance(value, Mapping) else value
    return max((_depth(member, above + 1) for member in inner), default=above + 1)


def _address_with_query(teacher: Part) -> bool:
    return re.search(_QUERY, str(teacher.get("baseURL", ""))) is not None


def _name_rule(field: str) -> Rule:
    return Rule(
        path=_PATH,
        field=field,
        why="is no name that can be sent",
        remedy="use letters, digits, `-`, `_`, `.` and `$`, at most 128",
        broken=_named(field, _malformed),
        cel=f"!has(self.{field}) || self.{field}.all(name, size(name) <= 128 && name.matches('{_NAME}'))",
    )


def _too_long(budget: Part) -> Sequence[str]:
    return [name for name in _names(budget, "prices") if not 0 < len(name) <= _MODEL_NAME]


def _transport_rule(field: str) -> Rule:
    return Rule(
        path=_PATH,
        field=field,
        why="says how a request travels, which is not for a request to decide",
        remedy="leave it out",
        broken=_named(field, _of_transport),
        cel=f"!has(self.{field}) || self.{field}.all(name, !name.matches('{_OF_TRANSPORT}'))",
    )


def _credential_rule(field: str, secret: str) -> Rule:
    return Rule(
        path=_PATH,
        field=field,
        why="looks like a credential, and everybody who may read the request would see it",
        remedy=f"put it into a Secret, and name that in {_PATH}.{secret}: {{name: SECRET, key: KEY}}",
        broken=_with_credential(field),
        cel=(
            f"!has(self.{field}) || self.{field}.all(name, !name.matches('{_OF_CREDENTIAL}')"
            f" && !self.{field}[name].matches('{_LIKE_CREDENTIAL}'))"
        ),
    )


def _twice_rule(plain: str, secret: str, prefix: str) -> Rule:
    return Rule(
        path=_PATH,
        field=secret,
        why=f"has a name twice, in {plain} and {secret} together",
        remedy="keep one of them; capitals, and the signs between words, do not count",
        broken=_twice(plain, secret, prefix),
    )


def _own_member(name: str, remedy: str) -> Rule:
    return Rule(
        path=_PATH,
        field="body",
        why="is set by Tunesmith in each call",
        remedy=remedy,
        broken=_named("body", name.__eq__),
    )


TEACHER_RULES = (
    Rule(
        path=_PATH,
        field="baseURL",
        why="has a query",
        remedy="write what stands behind `?` into data.teacher.query, as in {api-version: 2024-10-21}",
        broken=_address_with_query,
        cel=f"!has(self.baseURL) || !self.baseURL.matches('{_QUERY}')",
    ),
    *map(_name_rule, ("headers", "secretHeaders", "query", "secretQuery")),
    _transport_rule("headers"),
    _transport_rule("secretHeaders"),
    _credential_rule("headers", "secretHeaders"),
    _credential_rule("query", "secretQuery"),
    _twice_rule("headers", "secretHeaders", "h"),
    _twice_rule("query", "secretQuery", "q"),
    *(_own_member(name, remedy) for name, remedy in OWN_MEMBERS.items()),
    Rule(
        path=_PATH,
        field="body",
        why="looks like a credential, and no body can have one by reference",
        remedy="give it as a header, under data.teacher.secretHeaders",
        broken=_secrets_in_body,
    ),
    Rule(
        path=_PATH,
        field="body",
        why=f"is longer than {_BODY_TEXT:,} characters as JSON, or deeper than {_BODY_DEPTH}",
        remedy="leave out what the endpoint knows by itself",
        broken=_too_much_body,
    ),
    Rule(
        path="data.budget",
        field="prices",
        why="is no name of a model",
        remedy=f"give the name that data.teacher.model has, or a pattern with `*`; at most {_MODEL_NAME}",
        broken=_too_long,
        cel=f"!has(self.prices) || self.prices.all(name, size(name) <= {_MODEL_NAME} && size(name) > 0)",
    ),
)
