"""HTML: the text of a page without what belongs to the site around it.

What is left out goes by the elements themselves (`nav`, `aside`, `script` …) and by their roles. A page whose
`main` or single `article` has text is that element alone.
"""

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup
from bs4.element import Comment, NavigableString, PageElement, PreformattedString, Tag

from tunesmith_jobs.documents.block import Block, Headings, Unreadable, clean, one_line, with_text

_LEFT_OUT = [
    "script",
    "style",
    "noscript",
    "template",
    "svg",
    "canvas",
    "nav",
    "aside",
    "footer",
    "form",
    "button",
    "select",
    "option",
    "iframe",
    "object",
    "dialog",
    "head",
]
_ROLES = ("navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alert")
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "html",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_HEADING = re.compile(r"h[1-6]")
_DECLARED = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)


def declared_encoding(data: bytes) -> str:
    """The encoding that a page says it has, in its first KiB; empty if it says none that Python knows."""
    import codecs

    found = _DECLARED.search(data[:2048])
    name = found[1].decode("ascii") if found else ""
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError:
        return ""


def blocks_of_html(text: str) -> tuple[Block, ...]:
    """The blocks of a page or of a piece of one. Raises Unreadable."""
    try:
        soup = BeautifulSoup(clean(text), "html.parser")
        for element in [each for each in _tags(soup) if _is_left_out(each)]:
            element.extract()
        return with_text(_Page(soup).blocks())
    except RecursionError as error:
        raise Unreadable("has elements within elements without end", "save it as text") from error


def _is_left_out(element: Tag) -> bool:
    if element.name in _LEFT_OUT:
        return True
    attributes = element.attrs
    if attributes.get("role") in _ROLES or "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    is_of_page = element.name == "header" and element.find_parent(["article", "main"]) is None
    return is_of_page and element.find("h1") is None


class _Page:
    """A page while its blocks are read."""

    def __init__(self, soup: BeautifulSoup) -> None:
        self._root = _root(soup)
        self._headings = Headings()
        self._around: set[int] = set()  # elements that are blocks, or hold any
        for block in _tags(self._root):
            element: Tag | None = block if block.name in _BLOCKS else None
            while element is not None and id(element) not in self._around:
                self._around.add(id(element))
                element = element.parent

    def blocks(self) -> Iterator[Block]:
        """What is in it, from top to bottom."""
        return self._blocks(self._root)

    def _blocks(self, element: Tag) -> Iterator[Block]:
        inline: list[PageElement] = []
        for child in element.children:
            if not isinstance(child, Tag) or id(child) not in self._around:
                inline.append(child)
                continue
            yield from self._flow(inline)
            inline = []
            yield from self._of_block(child)
        yield from self._flow(inline)

    def _of_block(self, element: Tag) -> Iterator[Block]:
        path = self._headings.path
        if _HEADING.fullmatch(element.name):
            self._headings.add(int(element.name[1]), element.get_text(" "))
        elif element.name == "pre":
            yield Block(element.get_text().strip("\n"), path)
        elif element.name == "tr":
            cells = [one_line(cell.get_text(" ")) for cell in element.find_all(["td", "th"], recursive=False)]
            yield Block(" | ".join(cells), path)
        elif element.name == "li" and not any(id(inner) in self._around for inner in element.children):
            yield Block(f"- {one_line(element.get_text())}", path)
        else:
            yield from self._blocks(element)

    def _flow(self, inline: list[PageElement]) -> Iterator[Block]:
        """A block of what stands in one line, if it is anything."""
        if inline and (text := one_line("".join(map(_text, inline)))):
            yield Block(text, self._headings.path)


def _tags(element: Tag) -> list[Tag]:
    return [node for node in element.descendants if isinstance(node, Tag)]


def _root(soup: BeautifulSoup) -> Tag:
    for name in ("main", "article"):
        found = [element for element in _tags(soup) if element.name == name]
        if len(found) == 1 and found[0].get_text(strip=True):
            return found[0]
    return soup


def _text(node: PageElement) -> str:
    if isinstance(node, Tag):
        return "\n" if node.name == "br" else "".join(map(_text, node.children))
    is_text = isinstance(node, NavigableString) and not isinstance(node, Comment | PreformattedString)
    return str(node) if is_text else ""
