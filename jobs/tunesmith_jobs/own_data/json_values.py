"""JSON values as own data have them: numbers as they are written; NaN and infinities, which JSON does not
have, as null.
"""

import json
from typing import Any

from tunesmith_jobs.own_data.reader import Numeral

_DECODER = json.JSONDecoder(parse_int=Numeral, parse_float=Numeral, parse_constant=lambda _: None)


def load(text: str) -> Any:
    """The value of a text. Raises JSONDecodeError, and RecursionError if it is nested too deeply."""
    return _DECODER.decode(text)


def value_at(text: str, start: int) -> tuple[Any, int]:
    """The value that begins at a place of a text, and the place behind it. Raises as `load` does."""
    return _DECODER.raw_decode(text, start)


def not_json(error: Exception) -> str:
    """What is wrong, as a sentence without its subject."""
    return f"is not JSON: {error if isinstance(error, json.JSONDecodeError) else 'it is nested too deeply'}"
