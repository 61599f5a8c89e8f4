"""What an endpoint is sent beside a call: further headers, query and body, with the secrets among them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import Refused
from tunesmith.settings import SecretKey, Teacher
from tunesmith.wire import TEACHER_HEADER, TEACHER_QUERY, member_variable
from tunesmith_jobs.given_secrets import sendable


@dataclass(frozen=True)
class Members:
    """Names and values, as they are sent. `keyed`: whether a secret is among headers or query."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    keyed: bool


def members_of(teacher: Teacher) -> Members:
    """The members that a request asks for. Raises Refused for a secret that is missing or cannot be sent."""
    headers = _secrets(teacher.secret_headers, "secretHeaders", TEACHER_HEADER)
    query = _secrets(teacher.secret_query, "secretQuery", TEACHER_QUERY)
    return Members(
        {**teacher.headers, **headers}, {**teacher.query, **query}, teacher.body, bool(headers or query)
    )


def manner_of(teacher: Teacher) -> str:
    """What of them changes the answers, as JSON. Empty if nothing does, as in requests of old."""
    parts = {"query": teacher.query, "body": teacher.body, "reasoningEffort": teacher.reasoning_effort}
    given = {name: part for name, part in parts.items() if part}
    return json.dumps(given, sort_keys=True, ensure_ascii=False) if given else ""


def _secrets(secrets: Mapping[str, SecretKey], field: str, prefix: str) -> dict[str, str]:
    return {name: _value(f"spec.data.teacher.{field}.{name}", prefix, name) for name in secrets}


def _value(path: str, prefix: str, name: str) -> str:
    value = sendable(member_variable(prefix, name), path, words=True)
    if not value:
        raise Refused(
            f"{path} names a secret that this process was not given",
            reason="TeacherKeyMissing",
            remedy="check that the Secret has this key, and that it is not empty; then retry",
        )
    return value
