"""What every form of document becomes: blocks of text, each with where it stands."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_ODD = re.compile(
    r"[\x00-\x08\x0b\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u200b\u2060\ufeff\ufffe\uffff]|[\ud800-\udfff]"
)
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00ad": None}
)


@dataclass(frozen=True)
class Block:
    """A paragraph, a list, a table or a listing.

    `headings`: those above it, the highest first; `page`, `line`: where it begins, counted from 1, in a form
    that has them. 0: it has none.
    """

    text: str
    headings: tuple[str, ...] = ()
    page: int = 0
    line: int = 0


@dataclass(frozen=True)
class Read:
    """The blocks of a file in their order. `form`: in words; `notes`: what people should know of it."""

    form: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = field(default=())


class Unreadable(ValueError):
    """A file that cannot be read: a sentence without its subject, and what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


def clean(text: str) -> str:
    """A text without control characters, soft hyphens and ligatures, with line feeds at the ends of lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n\n").replace("\x85", "\n")
    return _ODD.sub("", lines.translate(_LIGATURES))


def one_line(text: str) -> str:
    """A text in one line."""
    return " ".join(text.split())


def with_text(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The blocks that have a letter or a digit."""
    return tuple(block for block in blocks if any(map(str.isalnum, block.text)))


class Headings:
    """The headings above a place, while a document is read from top to bottom."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def add(self, level: int, title: str) -> None:
        """A heading, which closes those of its own level and of lower ones."""
        self._open = [(above, text) for above, text in self._open if above < level]
        if title := one_line(title):
            self._open.append((level, title))

    @property
    def path(self) -> tuple[str, ...]:
        """The headings that are open, the highest first."""
        return tuple(title for _, title in self._open)
