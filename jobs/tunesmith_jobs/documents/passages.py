"""Blocks become passages of some hundred words, cut at headings and at the ends of paragraphs. Pure.

A passage ends within a paragraph only if that is longer than a passage may be, and within a sentence only if
that is. No text is lost, and none is in two passages.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tunesmith_jobs.documents.block import Block

MOST = 350  # words in a passage
LEAST = 60  # words, below which a section goes with the next one, and a rest with what is before it
_SHORT_HEADINGS = 80  # characters of a heading in a name

# Scripts without blanks between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese. Two of their letters
# count as a word.
_LETTERS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED = re.compile(f"[{_LETTERS}]")
_SPACED = re.compile(f"[^\\s{_LETTERS}]+")
_CHARACTERS = 12  # of a word at the most: a long line without blanks counts as several
# Where a long paragraph may be cut, the best places first: a line's end, a sentence's, a clause's, a blank.
_CUTS = (
    re.compile(r"\n+"),
    re.compile("(?<=[.!?…])[\"'”’»)\\]]*\\s+(?=[^a-z])|(?<=[。！？।۔؟])[”’」』）]*\\s*"),
    re.compile("(?<=[;:,])\\s+|(?<=[；：，、])"),
    re.compile(r"\s+"),
)


@dataclass(frozen=True)
class Passage:
    """A piece of a document.

    `name`: where a person finds it again; no two are alike. `document`: the file. `headings`: those above its
    beginning.
    """

    name: str
    document: str
    text: str
    headings: tuple[str, ...] = ()


def passages_of(documents: Sequence[tuple[str, Sequence[Block]]]) -> list[Passage]:
    """The passages of documents, each given with its name. What an earlier passage says in the same words is
    left out.
    """
    found: list[Passage] = []
    had: set[str] = set()
    names: Counter[str] = Counter()
    for (_, blocks), name in zip(documents, short_names([name for name, _ in documents]), strict=True):
        for group in _groups(blocks):
            text = _text_of(group)
            folded = " ".join(text.casefold().split())
            if folded in had:
                continue
            had.add(folded)
            where = f"{name}, {_place(group)}".removesuffix(", ")
            names[where] += 1
            called = where if names[where] == 1 else f"{where} ({names[where]})"
            found.append(Passage(called, name, text, group[0].headings))
    return found


def size(text: str) -> float:
    """Words in a text, in scripts without blanks half as many as letters."""
    words = sum(-(-len(word) // _CHARACTERS) for word in _SPACED.findall(text))
    return words + len(_UNSPACED.findall(text)) / 2


def short_names(names: Sequence[str]) -> list[str]:
    """Names of files without the folders that all of them are in."""
    parts = [PurePosixPath(name.partition("://")[2] or name).parts for name in names]
    shared = 0
    while all(len(each) > shared + 1 for each in parts) and len({each[shared] for each in parts}) == 1:
        shared += 1
    return ["/".join(each[shared:]) for each in parts]


def _groups(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Blocks that are a passage together."""
    groups: list[list[Block]] = []
    sizes: list[float] = []
    for block in (piece for whole in blocks for piece in _pieces(whole)):
        words = size(block.text)
        begins = not groups or sizes[-1] + words > MOST
        if begins or (block.headings != groups[-1][-1].headings and sizes[-1] >= LEAST):
            groups.append([])
            sizes.append(0.0)
        groups[-1].append(block)
        sizes[-1] += words
    if len(groups) > 1 and sizes[-1] < LEAST and groups[-1][0].headings == groups[-2][-1].headings:
        rest = groups.pop()
        groups[-1] += rest
    yield from groups


def _pieces(block: Block) -> Iterator[Block]:
    """A block in pieces that fit into a passage; blanks at the cuts are left out."""
    if size(block.text) <= MOST:
        yield block
        return
    line = block.line
    for text in _cut(block.text, 0):
        yield Block(text.strip("\n"), block.headings, block.page, line)
        line += bool(line) and text.count("\n")


def _cut(text: str, level: int) -> Iterator[str]:
    """A text in pieces of at most MOST words, each as long as it can be."""
    if size(text) <= MOST:
        if text.strip():
            yield text
        return
    if level == len(_CUTS):
        yield from _anywhere(text)
        return
    piece, words = "", 0.0
    for part in _parts(text, _CUTS[level]):
        more = size(part)
        if piece and words + more > MOST:
            yield from _cut(piece, level + 1)
            piece, words = "", 0.0
        piece += part
        words += more
    yield from _cut(piece, level + 1)


def _parts(text: str, cut: re.Pattern[str]) -> Iterator[str]:
    """A text divided behind each cut."""
    begin = 0
    for found in cut.finditer(text):
        if found.end() > begin:
            yield text[begin : found.end()]
            begin = found.end()
    if begin < len(text):
        yield text[begin:]


def _anywhere(text: str) -> Iterator[str]:
    """A text without any place to cut, in halves, and those in halves."""
    if size(text) <= MOST:
        yield text
        return
    half = len(text) // 2
    yield from _anywhere(text[:half])
    yield from _anywhere(text[half:])


def _text_of(group: Sequence[Block]) -> str:
    """The text of a passage, with the headings that come within it."""
    parts, before = [group[0].text], group[0].headings
    for block in group[1:]:
        if block.headings != before:
            shared = next(
                (
                    at
                    for at, (one, other) in enumerate(zip(block.headings, before, strict=False))
                    if one != other
                ),
                min(len(block.headings), len(before)),
            )
            parts += block.headings[shared:]
            before = block.headings
        parts.append(block.text)
    return "\n\n".join(parts)


def _place(group: Sequence[Block]) -> str:
    first, last = group[0], group[-1]
    if first.page:
        return f"page {first.page}" if first.page == last.page else f"pages {first.page}-{last.page}"
    if first.headings:
        path = " > ".join(heading[:_SHORT_HEADINGS] for heading in first.headings)
        goes_on = last.headings and last.headings != first.headings
        return f"{path} … {last.headings[-1][:_SHORT_HEADINGS]}" if goes_on else path
    return f"line {first.line}" if first.line else ""
