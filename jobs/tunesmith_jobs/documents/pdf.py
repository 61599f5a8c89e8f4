"""PDF: the text of its pages, by PDFium; lines become paragraphs again. What is a picture has no text.

PDFium is not made for threads, so it is asked by one at a time.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tunesmith_jobs.documents.block import Block, Read, Unreadable, clean, one_line, with_text
from tunesmith_jobs.documents.boilerplate import without_margins

_PDFIUM = threading.Lock()
_PASSWORD = 4  # FPDF_ERR_PASSWORD
_BROKEN = re.compile("(?<=[^\\W\\d_])[\x02\ufffe\u00ad\u2010-](?:\r?\n)(?=[^\\W\\d_])")
_ENDS = re.compile("[.!?:;。！？：；।۔؟…][\"'”’»)\\]]*$")
_ITEM = re.compile(r"(?:[•◦▪‣–*-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]"
)
_SHORT = 0.75  # of the longest line of a page: a paragraph may end with a line that is this short
_TITLE = 0.5  # of the longest line: what is this short, with a capital below it, is a title
_SHOWN = 8


def read_pdf(data: bytes) -> Read:
    """The paragraphs of a PDF, each with its page. Raises Unreadable."""
    pages = [clean(_BROKEN.sub("", text)).split("\n") for text in _pages(data)]
    texts = without_margins(pages)
    blocks = with_text(
        Block(text, page=number) for number, lines in enumerate(texts, start=1) for text in _paragraphs(lines)
    )
    if not blocks:
        raise Unreadable(
            f"has no text on its {len(pages)} page{'s' * (len(pages) != 1)}: they are pictures",
            "have its text recognised (such as by ocrmypdf), or take it out",
        )
    empty = [str(number) for number, lines in enumerate(pages, start=1) if not any(map(str.strip, lines))]
    rest = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
    notes = (f"no text on page {', '.join(empty[:_SHOWN])}{rest}",) if empty else ()
    return Read(f"PDF, {len(pages)} page{'s' * (len(pages) != 1)}", blocks, notes)


def _pages(data: bytes) -> list[str]:
    import pypdfium2

    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) == _PASSWORD:
                why, remedy = "is encrypted, and opens with a password only", "save it without one"
            else:
                why, remedy = f"is no PDF that can be read: {error}", "save it anew, or take it out"
            raise Unreadable(why, remedy) from error
        try:
            return [_text_of(document, number) for number in range(len(document))]
        except pypdfium2.PdfiumError as error:
            raise Unreadable(f"is damaged: {error}", "save it anew, or take it out") from error
        finally:
            document.close()


def _text_of(document: Any, number: int) -> str:
    page = document[number]
    text_page = page.get_textpage()
    text = str(text_page.get_text_range())
    text_page.close()
    page.close()
    return text


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """Lines of a page, put together again: a paragraph ends at a blank line, at a short line that ends a
    sentence or is a title, and where an item of a list begins.
    """
    stripped = [*map(str.strip, lines), ""]
    longest = max(map(len, stripped))
    paragraph: list[str] = []
    for line, following in zip(stripped, [*stripped[1:], ""], strict=True):
        if paragraph and (not line or _ITEM.match(line)):
            yield _joined(paragraph)
            paragraph = []
        if line:
            paragraph.append(line)
            is_title = len(line) < _TITLE * longest and following[:1].isupper()
            if is_title or (_ENDS.search(line) and len(line) < _SHORT * longest):
                yield _joined(paragraph)
                paragraph = []


def _joined(lines: Sequence[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        unspaced = _UNSPACED.match(text[-1]) and _UNSPACED.match(line)
        text += line if unspaced else f" {line}"
    return one_line(text)
