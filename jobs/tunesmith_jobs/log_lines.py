"""Log lines of a process of the jobs: without secrets, as text or as JSON.

JSON lines have the keys of the controller's logs: `time`, `level`, `logger`, `message`, and `namespace`,
`request`, `stage`, `attempt`. Machine lines (tunesmith/events.py) are JSON in any case, since the controller
reads them.
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
_SHORTEST = 8  # a shorter value is not a secret (EMPTY, ollama), and might be a word of the message
_HIDDEN = "[secret]"
_ATTEMPT = re.compile(r"a(\d+)-[0-9a-f]+")  # on a cluster: the controller's number of the attempt


def without_secrets(text: str) -> str:
    """The text without this process's secrets: an endpoint may answer with the key it was sent."""
    for value in _secrets(os.environ):
        text = text.replace(value, _HIDDEN)
    return text


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    values = {
        value for name, value in environ.items() if _SECRETS.fullmatch(name) and len(value) >= _SHORTEST
    }
    quoted = {form(value)[1:-1] for value in values for form in (json.dumps, repr)}
    yield from sorted(values | quoted, key=len, reverse=True)


def for_people(text: str, about: Mapping[str, str], *, level: str = "info") -> str:
    """One line of the log. `about`: namespace, request, stage and attempt, as far as they are known."""
    if os.environ.get(LOG_FORMAT) != "json":
        return text
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps(
        {"time": at, "level": level, "logger": "tunesmith_jobs", "message": text, **about}, ensure_ascii=False
    )


def attempt_number(attempt: str) -> str:
    """The attempt's number in the controller's logs and labels; its whole name where no controller runs."""
    match = _ATTEMPT.fullmatch(attempt)
    return match[1] if match else attempt
