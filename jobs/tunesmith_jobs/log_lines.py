"""Log lines of a process of the jobs: without secrets, as text or as JSON.

JSON lines have the keys of the controller's logs: `time`, `level`, `logger`, `message`, and `namespace`,
`request`, `stage`, `attempt`. Machine lines (tunesmith/events.py) are JSON in any case, since the controller
reads them.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from tunesmith import secret_values
from tunesmith.plain_text import json_text, printable
from tunesmith.wire import LOG_FORMAT

_ATTEMPT = re.compile(r"a(\d+)-[0-9a-f]+")  # on a cluster: the controller's number of the attempt


def without_secrets(text: str) -> str:
    """The text without this process's secrets: an endpoint may answer with the key it was sent."""
    return secret_values.without_secrets(text, os.environ)


def for_people(text: str, about: Mapping[str, str], *, level: str = "info") -> str:
    """One line of the log, without what a terminal would obey.

    `about`: namespace, request, stage and attempt, as far as they are known.
    """
    if os.environ.get(LOG_FORMAT) != "json":
        return no_machine_line(printable(text))
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json_text({"time": at, "level": level, "logger": "tunesmith_jobs", "message": text, **about})


def no_machine_line(text: str, *, line_begins: bool = True) -> str:
    """The text with a blank before each `{` that begins a line, as only machine lines may.

    `line_begins`: whether its first line begins one.
    """
    inner = text.replace("\n{", "\n {")
    return f" {inner}" if line_begins and inner.startswith("{") else inner


def attempt_number(attempt: str) -> str:
    """The attempt's number in the controller's logs and labels; its whole name where no controller runs."""
    match = _ATTEMPT.fullmatch(attempt)
    return match[1] if match else attempt
