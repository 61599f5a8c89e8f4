"""A limit on requests a minute that changes while the stage runs: its share of what a profile allows all its generators.

On a cluster the pod's annotation is a file in the pod, which the kubelet keeps up to date. TUNESMITH_TEACHER_RATE_FILE names it.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from tunesmith.wire import TEACHER_RATE_FILE

SECONDS = 5.0  # between two looks


def read_rate(file: Path) -> int | None:
    """Requests a minute, 0 for no limit; None if the file says nothing that can be read."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None


async def follow(limit: Callable[[int], None], say: Callable[[str], None], seconds: float = SECONDS) -> None:
    """Tell `limit` the rate now and whenever it changes, until cancelled; without the variable at once done."""
    if not (name := os.environ.get(TEACHER_RATE_FILE)):
        return
    known = 0
    while True:
        rate = read_rate(Path(name))
        if rate is not None and rate != known:
            known = rate
            say(
                f"at most {rate} requests a minute to the teacher from now on"
                if rate
                else "no limit on requests a minute any more"
            )
            limit(rate)
        await asyncio.sleep(seconds)
