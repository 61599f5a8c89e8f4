"""Log lines, as text or as JSON with the same keys as the stages' own: namespace, request, stage, attempt."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

KEYS = ("namespace", "request", "stage", "attempt")


def log_keys(request: Mapping[str, Any]) -> dict[str, str]:
    """The keys that every log line about a request carries."""
    return {"namespace": request["metadata"].get("namespace", ""), "request": request["metadata"]["name"]}


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: getattr(record, key) for key in KEYS if hasattr(record, key)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """Time, level, what it is about, message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        about = "/".join(str(getattr(record, key)) for key in KEYS if hasattr(record, key))
        prefix = f"{about}: " if about else ""
        text = f"{at} {record.levelname} {prefix}{record.getMessage()}"
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return text


def set_up(form: str, level: str) -> None:
    """Logs to stderr as `text` or `json`, from this level upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # It warns about each connection that it drops, and a metric counts those.
    logging.getLogger("urllib3").setLevel("ERROR")
