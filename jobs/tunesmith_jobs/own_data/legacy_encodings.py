"""Which encoding a text has that is not Unicode. Pure.

charset-normalizer says which encodings give a text without garbage, and how much it looks like a language.
Of a line or two it cannot tell that (its issues 477 and 731), so letters speak too: in a text that was read
rightly most are among the frequent ones of a language, or in the alphabet of one; letters of Latin script
stand in one word with those of ASCII, and others do not. Where two encodings are as likely, none is taken.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith_jobs.own_data.letters import ALPHABETS, FREQUENT, RARE

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_WORD = re.compile(r"[A-Za-z\x80-\U0010ffff]+")
_SAMPLE = 1 << 16  # bytes
_NEUTRAL = frozenset(
    "“”„‘’‚–—…€«»‹›°§©®™·•×÷£¥¢¡¿ªº؟،؛。、「」『』《》【】・〜！？，：；（）％\u00a0\u00ad\u3000"
)
_USUAL = "cp1252"
"""What is taken of encodings of Latin script that are as likely: the one that most such files have."""
_MARGIN = 0.07  # by which the best must be better than one in which the text reads otherwise
_LEAST = (
    0.3  # of 2: half of the letters are none of the language's frequent ones, and the library knows it not
)


@dataclass(frozen=True)
class Guess:
    """An encoding by its name for Python, how likely it is (0 to about 2), and how the text reads in it."""

    encoding: str
    likely: float
    text: str


def guesses(data: bytes) -> list[Guess]:
    """Encodings in which all bytes can be read, the most likely first."""
    from charset_normalizer import from_bytes

    sample = telling_lines(data)
    known = [*ALPHABETS, *FREQUENT]
    matches = from_bytes(sample, cp_isolation=known, enable_fallback=False)
    looks = {
        name: match.coherence - match.chaos
        for match in matches
        for name in (match.encoding, *match.could_be_from_charset)
    }
    found = [
        Guess(name, looks.get(name, -0.1) + _by_letters(text, name) - RARE.get(name, 0), text)
        for name in known
        if (name in looks or name in ALPHABETS) and (text := _decoded(sample, name)) is not None
    ]
    fitting = [guess for guess in found if _decoded(data, guess.encoding) is not None]
    return sorted(fitting, key=lambda guess: (-guess.likely, guess.encoding != _USUAL))


def clear(found: Sequence[Guess]) -> bool:
    """Whether the first guess may be taken. Others of Latin script give way to the usual one."""
    if not found or found[0].likely < _LEAST:
        return False
    usual = found[0].encoding == _USUAL
    return not [guess for guess in rivals(found) if not (usual and guess.encoding in ALPHABETS)]


def rivals(found: Sequence[Guess]) -> list[Guess]:
    """Encodings that are as likely as the first, and in which the text reads otherwise."""
    best = found[0]
    return [guess for guess in found[1:] if best.likely - guess.likely < _MARGIN and guess.text != best.text]


def telling_lines(data: bytes) -> bytes:
    """The lines that have bytes beyond ASCII, up to a bound."""
    lines: list[bytes] = []
    size = 0
    for line in data.split(b"\n"):
        if _BEYOND_ASCII.search(line):
            lines.append(line[:_SAMPLE])
            size += len(line)
            if size > _SAMPLE:
                break
    return b"\n".join(lines)


def _by_letters(text: str, encoding: str) -> float:
    """How much the letters beyond ASCII are those of a language of this encoding, 0 to 1."""
    letters = [sign.lower()[-1] for sign in text if sign > "\x7f" and sign not in _NEUTRAL]
    if not letters:
        return 1.0 if encoding in ALPHABETS else 0.0
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    beside_ascii = "".join(word for word in words if any(map(str.isascii, word)))
    mixed = sum(sign > "\x7f" and sign not in _NEUTRAL for sign in beside_ascii) / len(letters)
    if encoding in ALPHABETS:
        alphabets = ALPHABETS[encoding]
        return mixed * max(sum(sign in alphabet for sign in letters) for alphabet in alphabets) / len(letters)
    cased = sum(map(_is_cased, words)) / len(words)
    frequent = FREQUENT[encoding]
    return (1 - mixed) * cased * sum(frequent.get(sign, 0.0) for sign in letters) / len(letters)


def _is_cased(word: str) -> bool:
    """Whether a word is written as words are: no capital behind a small letter."""
    return word.lower() == word or word.upper() == word or word[1:].lower() == word[1:]


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
