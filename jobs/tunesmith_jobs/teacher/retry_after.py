"""How long an endpoint asks to wait before the next request, in its headers or in words."""

import re
from collections.abc import Mapping

_IN_TEXT = re.compile(
    r'(?:retrydelay"?: ?"?|(?:try again|retry|wait)(?: after| in)? )'
    r"(?:(?P<minutes>\d+)m)?(?P<seconds>\d+(?:\.\d+)?) ?(?P<unit>ms|s|sec)",
    re.IGNORECASE,
)


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
        return max(0.0, float(value))
    except ValueError:
        return _until(value, now)


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
