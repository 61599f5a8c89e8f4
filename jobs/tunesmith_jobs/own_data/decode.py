"""Bytes become text, in the encoding that a request names or that the bytes tell. Pure.

A byte that is no part of a UTF-8 text makes its line bad, not the file: it comes as one of U+DC80..U+DCFF
(Python's surrogateescape), and `lone_surrogate` finds it.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.errors import BadData, Problem
from tunesmith_jobs.own_data.legacy_encodings import Guess, clear, guesses, rivals, telling_lines
from tunesmith_jobs.own_data.reader import PATH

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK = "\ufeff"
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_BAD = re.compile("[\udc80-\udcff]")
_GOOD = re.compile("[^\x00-\x7f\udc80-\udcff]")
_LONE = re.compile("[\ud800-\udfff]")
# When a text with bytes that are not UTF-8 is UTF-8 all the same: so many lines (of those with bytes beyond
# ASCII) are right for each that is not, or so many letters for each bad byte. In a text of another encoding a
# line is right by chance only: one in seven of those with a single letter of GBK, next to none of the others.
_RIGHT_LINES = 0.25
_RIGHT_LETTERS = 4
_SHOWN = 3  # readings in a message, each of so many characters at most:
_WORDS = 30
_SAMPLE = 1 << 16  # bytes of the first and the last part that tell UTF-16
_LEAST_ZEROS = 0.1  # share of the bytes at one side of a UTF-16 text that are zero: its line ends and signs


@dataclass(frozen=True)
class Decoded:
    """A text. `encoding`: its name, and in which way it was told, in words for people."""

    text: str
    encoding: str


def decode(data: bytes, encoding: str, name: str, *, path: str = PATH) -> Decoded:
    """Bytes as text. `path`: of the files in a request.

    Raises BadData if they cannot be read in the encoding, or if none can be told.
    """
    if encoding != "auto":
        return Decoded(_unmarked(_decoded(data, encoding, name, path)), f"{encoding}, as asked")
    for mark, marked in _MARKS:
        if data.startswith(mark):
            text = _decoded(data, marked, name, path, escape=marked == "utf-8-sig")
            return Decoded(_unmarked(text), f"{marked.removesuffix('-sig')}, by its byte order mark")
    if wide := _wide(data):
        return Decoded(_decoded(data, wide, name, path), f"{wide}, told by its zero bytes")
    if not _BEYOND_ASCII.search(data):
        return Decoded(data.decode("ascii"), "ascii")
    text = data.decode("utf-8", "surrogateescape")
    if not _BAD.search(text):
        return Decoded(_unmarked(text), "utf-8")
    if _is_utf_8(telling_lines(data).decode("utf-8", "surrogateescape")):
        bad = len(_BAD.findall(text))
        count = "1 byte that is" if bad == 1 else f"{bad} bytes that are"
        return Decoded(_unmarked(text), f"utf-8, but for {count} none of it")
    found = guesses(data)
    if not clear(found):
        raise _cannot_tell(data, found, name, path)
    told = f"{found[0].encoding}, a guess by its letters"
    if others := rivals(found):
        told += f"; {others[0].encoding} is as likely ({_first_beyond_ascii(others[0].text)!r})"
    return Decoded(data.decode(found[0].encoding), told)


def _cannot_tell(data: bytes, found: Sequence[Guess], name: str, path: str) -> BadData:
    readings = [f"{guess.encoding} ({_first_beyond_ascii(guess.text)!r})" for guess in found[:_SHOWN]]
    why = f"cannot be told: it is not UTF-8 ({_first_bad(data)})"
    if readings:
        why += f", and might be {', '.join(readings)}"
    problem = Problem(f"{path}.encoding", why, None, "name the encoding in which it reads rightly")
    return BadData(f"{name} cannot be decoded", reason="BadEncoding", problems=[problem])


def _first_beyond_ascii(text: str) -> str:
    """The first words with letters beyond ASCII."""
    words = text.split()
    first = next((number for number, word in enumerate(words) if not word.isascii()), 0)
    return " ".join(words[first : first + 3])[:_WORDS]


def _is_utf_8(sample: str) -> bool:
    """Whether the lines with signs beyond ASCII are of a text in UTF-8 that has some bad bytes."""
    lines = [line for line in re.split("[\r\n]", sample) if not line.isascii()]
    wrong = sum(_BAD.search(line) is not None for line in lines)
    letters, bad = len(_GOOD.findall(sample)), len(_BAD.findall(sample))
    return len(lines) - wrong >= _RIGHT_LINES * wrong or letters >= _RIGHT_LETTERS * bad


def lone_surrogate(text: str) -> str:
    """What is wrong with a text that UTF-8 cannot hold; empty if it can."""
    found = _LONE.search(text)
    if found is None:
        return ""
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"has a byte that is not UTF-8 (0x{code - 0xDC00:02X})"
    return f"has half a character (\\u{code:04x})"


def _decoded(data: bytes, encoding: str, name: str, path: str, *, escape: bool = False) -> str:
    try:
        return data.decode(encoding, "surrogateescape" if escape else "strict")
    except LookupError:
        why = f"there is no encoding {encoding!r}"
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        why = f"is not {encoding}: byte {error.start}, line {line}, {error.reason}"
    problem = Problem(
        f"{path}.encoding", why, encoding, "name the file's encoding, such as utf-8, utf-16, cp1252, gb18030"
    )
    raise BadData(f"{name} cannot be decoded", reason="BadEncoding", problems=[problem])


def _unmarked(text: str) -> str:
    """Without byte order marks: the one at the beginning, and those of files that were put together."""
    if _MARK not in text:
        return text
    return re.sub(f"(^|(?<=[\r\n])){_MARK}+", "", text)


def _wide(data: bytes) -> str:
    """UTF-16 without a mark: one of two bytes is often zero, the other never. Empty if it is not that."""
    sample = data[:_SAMPLE]
    if len(data) % 2 or b"\0" not in sample:
        return ""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    least = _LEAST_ZEROS * len(sample) / 2
    if odd >= least and not even:
        return "utf-16-le"
    if even >= least and not odd:
        return "utf-16-be"
    return ""


def _first_bad(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{data[error.start]:02X}, line {data.count(bytes([10]), 0, error.start) + 1}"
    raise AssertionError("there is a bad byte")
