"""What a process of the jobs may say: never a secret, and lines for people as text or (TUNESMITH_LOG_FORMAT=json) as JSON.

JSON has the keys of the controller's logs: `time`, `level`, `logger`, `message`, and `namespace`, `request`, `stage`, `attempt`. Machine
lines (tunesmith/events.py) stay as they are, since they are JSON already and the controller reads them.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from tunesmith.wire import LOG_FORMAT

_SECRETS = re.compile(
    r"(.*_)?(API_?KEY|TOKEN|PASSWORD|SECRET|SECRET_ACCESS_KEY|SESSION_TOKEN)", re.IGNORECASE
)
_SHORTEST = 8  # a shorter one is none (EMPTY, ollama), and might be a word of the message
_HIDDEN = "[secret]"
_ATTEMPT = re.compile(r"a(\d+)-[0-9a-f]+")  # a cluster's; its Jobs and the controller have the number


def without_secrets(text: str) -> str:
    """The text without the values of secrets that this process was given: an endpoint may answer with the key it was sent."""
    for value in _secrets(os.environ):
        text = text.replace(value, _HIDDEN)
    return text


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    found = {value for name, value in environ.items() if _SECRETS.fullmatch(name) and len(value) >= _SHORTEST}
    written = {form(value)[1:-1] for value in found for form in (json.dumps, repr)}
    yield from sorted(found | written, key=len, reverse=True)


def for_people(text: str, about: Mapping[str, str], *, level: str = "info") -> str:
    """One line of the log. `about`: namespace, request, stage, attempt, as far as they are known."""
    if os.environ.get(LOG_FORMAT) != "json":
        return text
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps(
        {"time": at, "level": level, "logger": "tunesmith_jobs", "message": text, **about}, ensure_ascii=False
    )


def attempt_number(attempt: str) -> str:
    """The attempt as the controller's logs and labels have it; its whole name where no controller runs."""
    match = _ATTEMPT.fullmatch(attempt)
    return match[1] if match else attempt
