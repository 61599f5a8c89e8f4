"""How long an endpoint asks to wait before the next request, in its headers or in words."""

import math
import re
from collections.abc import Mapping
from datetime import datetime

_IN_TEXT = re.compile(
    r'(?:retrydelay"?: ?"?|(?:try again|retry|wait)(?: after| in)? )'
    r"(?:(?P<minutes>\d+)m)?(?P<seconds>\d+(?:\.\d+)?) ?(?P<unit>ms|s|sec)",
    re.IGNORECASE,
)
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, or None if the headers (in lower case) do not say.

    They are `retry-after-ms`, or `retry-after` in seconds or as a date.
    """
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None and milliseconds.isdigit():
        return int(milliseconds) / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _until(value, now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(date: str, now: float) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except ValueError:
        return None


def retry_after_in(message: str) -> float | None:
    """Seconds to wait, as the text of an error tells them; None if it does not.

    Gemini's has `"retryDelay": "17s"`, OpenAI's and Groq's "Please try again in 1m2.5s".
    """
    match = _IN_TEXT.search(message)
    if match is None:
        return None
    seconds = float(match["seconds"]) / (1000 if match["unit"].lower() == "ms" else 1)
    return 60 * int(match["minutes"] or 0) + seconds


def reset_seconds(text: str, now: float) -> float | None:
    """Seconds until a reset that is told as seconds (55), a span (1m2.5s, 12ms), a time (RFC 3339) or a Unix
    time in seconds or milliseconds; None for anything else.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
        if seconds > now * 100:
            seconds /= 1000
        return seconds if seconds < now / 2 else max(0.0, seconds - now)
    if text and (span := _SPAN.fullmatch(text)):
        days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in span.groups())
        return 86400 * days + 3600 * hours + 60 * minutes + seconds + milliseconds / 1000
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp() - now)
    except ValueError:
        return None
