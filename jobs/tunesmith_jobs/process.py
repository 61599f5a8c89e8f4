"""A process that imports torch and the libraries around it: half a million objects that stay until it ends. It starts and ends sooner."""

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

_codes: list[int] = []


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """For a block of imports. Python's collector of cycles would go through all that they make, again and again while it grows.

    For train's imports that is 1.4 s of 6.7 s (Python 3.11, one core of two).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def leave(code: int) -> NoReturn:
    """End as `sys.exit` does, threads and exit functions included, but take no module apart: 2.3 s of a core that nobody needs."""
    _codes.append(code)
    sys.exit(code)


@atexit.register  # before torch and the others register theirs: the last comes first
def _end() -> None:
    if _codes:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # whoever read it is gone
                stream.flush()
        os._exit(_codes[-1])
