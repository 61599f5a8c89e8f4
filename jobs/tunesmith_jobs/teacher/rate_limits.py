"""The limits that an endpoint announces in the headers of its answers, and when they are reset. Pure.

The names are those of OpenAI, which Azure, Groq, Together, Mistral and proxies share, and of Anthropic.
"""

import re
from collections.abc import Mapping

from tunesmith_jobs.teacher.endpoint import RateLimits
from tunesmith_jobs.teacher.retry_after import reset_seconds

MINUTE = 60.0
_NAMES = {  # limit, what remains, and when all of it is there again
    "requests": (
        ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        (
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ),
    ),
    "tokens": (
        ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        (
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ),
    ),
}
_RESETS = (  # what remains, and the header that says when there is more
    *((remaining, reset) for names in _NAMES.values() for _, remaining, reset in names),
    ("x-ratelimit-remaining-tokens", "x-rate-limit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
)


def announced_limits(headers: Mapping[str, str], now: float) -> RateLimits:
    """The limits per minute in the headers (in lower case) of an answer that came at `now`, in Unix time.

    A limit that takes longer than a minute to be there again is one per day, as Groq's is on requests: left
    out, as is one without a number (Azure says -1 where it has none).
    """
    limits: dict[str, tuple[float, float | None]] = {}
    for kind, names in _NAMES.items():
        for limit, remaining, reset in names:
            most, left = _number(headers.get(limit)), _number(headers.get(remaining))
            if most is not None and (reset_seconds(headers.get(reset, ""), now) or 0.0) <= MINUTE:
                limits.setdefault(kind, (most, left))
    return RateLimits(limits)


def reset_in(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until there is more of what is used up, as the headers of a refusal tell; None if they do not.

    Azure leaves out `retry-after` at times and says `x-ratelimit-reset-tokens` instead.
    """
    waits = [
        reset_seconds(headers[reset], now)
        for remaining, reset in _RESETS
        if reset in headers and headers.get(remaining, "0") == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d+", text) else None
