"""Bytes become text, in the encoding that a request names or that the bytes tell."""

import codecs

from tunesmith.errors import BadData, Problem
from tunesmith_jobs.own_data.reader import PATH

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decode(data: bytes, encoding: str, name: str) -> str:
    """Bytes as text; `auto`: by a byte order mark, else UTF-8, else Windows-1252. Raises BadData."""
    why = ""
    for candidate in _candidates(data) if encoding == "auto" else (encoding,):
        try:
            return data.decode(candidate).removeprefix("\ufeff")
        except LookupError:
            why = f"there is no encoding {candidate!r}"
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            why = f"is not {candidate}: byte {error.start}, line {line}, {error.reason}"
    problem = Problem(
        f"{PATH}.encoding", why, encoding, "name the file's encoding, such as utf-8, utf-16, cp1252, gb18030"
    )
    raise BadData(f"{name} cannot be decoded", reason="BadEncoding", problems=[problem])


def _candidates(data: bytes) -> tuple[str, ...]:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return (encoding,)
    return ("utf-8", "cp1252")
