"""A limit on requests a minute that changes while the stage runs.

It is the stage's share of what a profile allows all its generators. On a cluster the pod's annotation is a
file in the pod, which the kubelet keeps up to date; TUNESMITH_TEACHER_RATE_FILE names it.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from tunesmith.wire import TEACHER_RATE_FILE

SECONDS = 5.0  # between two readings


def read_rate(file: Path) -> int | None:
    """Requests a minute, where 0 means no limit; None if the file holds no whole number."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None


async def follow(limit: Callable[[int], None], say: Callable[[str], None], seconds: float = SECONDS) -> None:
    """Call `limit` with the rate now and whenever it changes, until cancelled.

    Returns at once if the variable is not set.
    """
    name = os.environ.get(TEACHER_RATE_FILE)
    if not name:
        return
    known = 0
    while True:
        rate = read_rate(Path(name))
        if rate is not None and rate != known:
            known = rate
            if rate:
                say(f"at most {rate} requests a minute to the teacher from now on")
            else:
                say("no limit on requests a minute any more")
            limit(rate)
        await asyncio.sleep(seconds)
