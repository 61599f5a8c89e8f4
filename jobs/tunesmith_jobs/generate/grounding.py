"""Rows that rest on passages of documents: which passage a cell gets, how it is shown, and whether a row's
evidence is in it. Pure.

Rounds, as in dataset_plan.py: every passage is drawn once before any is drawn twice, and the passage of cell
i depends on the passages, the seed and i alone. The order goes by what passages say, so that a file's name
moves nothing.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from tunesmith_jobs.documents.passages import Passage, size
from tunesmith_jobs.generate.row_faults import Fault

OVERVIEW = 40  # passages that a plan sees the beginnings of, of each so many characters:
_BEGINNING = 100
LEAST_EVIDENCE = 3  # words
_TOKEN = re.compile(r"(?<!\w)-?\d+(?:[.,:/]\d+)*|[^\W\d_]+|\d+")
_LINK = re.compile(r"(?<=\])\([^)\s]*\)")
_GAP = re.compile(r"\s*(?:\[\s*(?:\.\.\.|…)\s*\]|\.\.\.+|…)\s*")
_MINUS = str.maketrans(dict.fromkeys("‐‑‒–—−", "-"))
# What a prompt or response says of a passage that its reader does not have.
_ABOUT_PASSAGE = re.compile(
    r"\b(?:the|this|that|given|provided|following) (?:(?:given|provided|above|following|supplied) )?"
    r"(?:passage|excerpt|text (?:above|below|provided)|(?:provided|given|above|supplied) "
    r"(?:text|document|context|section|information|article))\b"
    r"|\b(?:according to|based on|as (?:stated|described|mentioned) in|in) (?:the|this)"
    r" (?:text|context|document)\b"
    r"|\b(?:laut|gemäß|nach|in|aus|auf) (?:de[mrs]|diese[mrs]) (?:\w+ )?"
    r"(?:Abschnitt|Textabschnitt|Textauszug|Auszug|Textpassage|Passage|Text|Dokument|Textstelle)\b"
    r"|\b(?:selon|d'après|dans) (?:le |l'|ce |cet )(?:texte|passage|extrait|document)\b"
    r"|\b(?:según|en|de acuerdo con) (?:el|este) (?:texto|pasaje|fragmento|documento|extracto)\b"
    r"|\b(?:segundo|de acordo com) (?:o|este) (?:texto|trecho|documento|excerto)\b"
    r"|\b(?:secondo|in base a|nel|in) (?:il |questo )?(?:testo|brano|passaggio|documento|estratto)\b"
    r"|\bvolgens (?:de|het|deze|dit) (?:tekst|passage|document|fragment)\b"
    r"|\b(?:согласно|в|из) (?:этому |этом |этого |данном |данного |приведённому |приведенному )?"
    r"(?:тексту?е?|отрывк[еуа]|фрагмент[еуа]|документ[еуа])\b"
    r"|(?:根据|依据|按照)(?:上述|以上|本|该|所给|给定|这[段篇个])?(?:文本|文章|段落|文档|文字|内容|材料)|上述(?:文本|段落|文章)"
    r"|(?:この|上記の|次の|本)(?:文章|文書|テキスト|一節|段落|抜粋)",
    re.IGNORECASE,
)


class Passages:
    """The passages of documents, drawn by cells."""

    def __init__(self, passages: Sequence[Passage], seed: int) -> None:
        self._passages = passages
        self._seed = seed
        self._turns: dict[int, list[Passage]] = {}

    def at(self, index: int) -> Passage:
        """The passage of cell number `index`."""
        turn, place = divmod(index, len(self._passages))
        if turn not in self._turns:
            self._turns[turn] = sorted(self._passages, key=lambda passage: self._order(turn, passage))
        return self._turns[turn][place]

    def _order(self, turn: int, passage: Passage) -> bytes:
        text = f"{self._seed}\0passage\0{turn}\0{passage.text}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def shown(passage: Passage) -> str:
    """A passage as the teacher gets it, between marks that it cannot hold."""
    return fenced("passage", "\n\n".join([*_below(passage), passage.text]))


def fenced(what: str, text: str) -> str:
    """A text between two marks that nobody can write into it, as they follow from the whole text."""
    mark = f"{what}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    return f"<{mark}>\n{text}\n</{mark}>"


def overview(passages: Sequence[Passage]) -> str:
    """What documents are about: headings and beginnings of passages from all over them, a line each."""
    step = max(1, -(-len(passages) // OVERVIEW))
    lines = []
    for passage in passages[::step]:
        words = " ".join([*passage.headings, passage.text.replace("\n", " ")]).split()
        lines.append(f"- {' '.join(words)[:_BEGINNING]}")
    return fenced("documents", "\n".join(lines))


def _below(passage: Passage) -> list[str]:
    return [" > ".join(passage.headings)] if passage.headings else []


# What a row must have


def grounding_fault(prompt: str, response: str, evidence: str, passage: Passage, task: str) -> Fault | None:
    """What makes a row none that rests on its passage; None if it does."""
    for name, text in (("prompt", prompt), ("response", response)):
        if (match := _ABOUT_PASSAGE.search(text)) and not _ABOUT_PASSAGE.search(task):
            return "aboutPassage", f"the {name} speaks of a passage that its reader has not got: {match[0]}"
    if not evidence.strip():
        return "ungrounded", f"no words of {passage.name} are given as evidence"
    if size(evidence) < min(LEAST_EVIDENCE, size(passage.text)):
        return "ungrounded", f"the evidence is too short to tell anything: {evidence[:60]!r}"
    if not holds("\n\n".join([*passage.headings, passage.text]), evidence):
        return "ungrounded", f"not in {passage.name}: {evidence[:200]!r}"
    return None


def holds(text: str, evidence: str) -> bool:
    """Whether a text has the words of the evidence, in their order; `...` stands for some that are left out.

    Case, white space, quotes, hyphens, punctuation and the marks of Markdown do not count; numbers do, with
    their signs and points.
    """
    inside, at = _folded(text), 0
    for part in filter(None, map(_folded, _GAP.split(evidence))):
        found = _find(inside, part, at)
        if found < 0:
            return False
        at = found + len(part)
    return at > 0


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKC", _LINK.sub("", text)).casefold().translate(_MINUS)
    return "".join(_TOKEN.findall(plain))


def _find(text: str, part: str, start: int) -> int:
    """Where a part is, but not within a number; -1 if it is not there."""
    at = text.find(part, start)
    while at >= 0:
        end = at + len(part)
        begins_inside = part[0].isdigit() and at > 0 and text[at - 1] in "-.,:/0123456789"
        ends_inside = part[-1].isdigit() and end < len(text) and text[end] in ".,:/0123456789"
        if not begins_inside and not ends_inside:
            return at
        at = text.find(part, at + 1)
    return -1
