"""What documents repeat: headers and footers of pages, and the same paragraph in many files. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from tunesmith_jobs.documents.block import Block

MARGIN = 3  # lines at the top and at the bottom of a page that may be a header or a footer
LEAST = 3  # pages, or files, that must have it
_SHARE = 0.5  # of the pages, or of the files
_SHORT = 60  # characters of a line whose numbers do not count
_NUMBER = re.compile(r"\d+|\b[ivxl]+\b")
_ALONE = re.compile(
    r"(?:page|seite|página|pagina|p\.)?\s*[-–—]?\s*#\s*(?:[-–—/]|of|von|de|sur)?\s*#?\s*[-–—]?"
)


def without_margins(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """Lines of pages without those of headers and footers: the same at an edge of at least half of the pages,
    if they are short but for numbers; and a page's number, if pages have one.
    """
    seen = Counter(kind for page in pages for kind in {_kind(page[at]) for at in _margin(page)})
    dropped = {kind for kind, count in seen.items() if count >= max(LEAST, _SHARE * len(pages))}
    return [_without(page, dropped) for page in pages]


def _without(page: Sequence[str], dropped: Collection[str]) -> list[str]:
    """A page without lines of these kinds at its edges, from the outside in."""
    begin, end = 0, len(page)
    margin = _margin(page)
    while begin < end and (not page[begin].strip() or (begin in margin and _kind(page[begin]) in dropped)):
        begin += 1
    while end > begin and (
        not page[end - 1].strip() or (end - 1 in margin and _kind(page[end - 1]) in dropped)
    ):
        end -= 1
    return list(page[begin:end])


def without_repeated(documents: Sequence[Sequence[Block]]) -> tuple[list[list[Block]], int]:
    """Blocks of documents, those that at least half of the documents have only in the first of them; and how
    many were left out.
    """
    texts = [{_folded(block) for block in blocks} for blocks in documents]
    counts = Counter(text for each in texts for text in each)
    most = max(LEAST, _SHARE * len(documents))
    repeated = {text for text, count in counts.items() if count >= most}
    had: set[str] = set()
    kept: list[list[Block]] = []
    for blocks, own in zip(documents, texts, strict=True):
        kept.append([block for block in blocks if _folded(block) not in repeated & had])
        had |= own
    return kept, sum(map(len, documents)) - sum(map(len, kept))


def _margin(page: Sequence[str]) -> set[int]:
    """Places of the first and the last lines that are not blank."""
    full = [at for at, line in enumerate(page) if line.strip()]
    return {*full[:MARGIN], *full[-MARGIN:]}


def _kind(line: str) -> str:
    """A line as others of its kind have it: a short one with signs in place of numbers."""
    whole = " ".join(line.casefold().split())
    if len(whole) > _SHORT:
        return whole
    kind = _NUMBER.sub("#", whole)
    return "#" if _ALONE.fullmatch(kind) else kind


def _folded(block: Block) -> str:
    return " ".join(block.text.casefold().split())
