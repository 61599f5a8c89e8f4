"""Markdown, as CommonMark and GitHub have it: its blocks stay as they are written, below their headings.

A `#` within a listing is no heading: the text is read by a parser of the whole language.
"""

import re
from collections.abc import Iterator

from tunesmith_jobs.documents.block import Block, Headings, clean, with_text

_FRONT_MATTER = re.compile(r"\A(---\s*\n.*?\n(?:---|\.\.\.)[ \t]*)(?:\n|\Z)", re.DOTALL)
_ANCHOR = re.compile(r"\s*\{#[^}]*\}\s*$")


def blocks_of_markdown(text: str) -> tuple[Block, ...]:
    """The blocks of a text in Markdown, each with its line. Front matter and comments are left out."""
    text = clean(text)
    if front := _FRONT_MATTER.match(text):
        text = "\n" * front[1].count("\n") + text[front.end(1) :]
    return with_text(_blocks(text))


def _blocks(text: str) -> Iterator[Block]:
    from markdown_it import MarkdownIt

    from tunesmith_jobs.documents.html import blocks_of_html

    lines, headings, below = text.split("\n"), Headings(), 0
    whole = MarkdownIt("commonmark", {"maxNesting": 50})
    tokens = MarkdownIt("commonmark", {"maxNesting": 50}).enable("table").disable("inline").parse(text)
    for number, token in enumerate(tokens):
        if token.level or token.map is None or token.map[0] < below:
            continue
        begin, below = token.map
        if token.type == "heading_open":
            [inline] = whole.parseInline(tokens[number + 1].content)
            words = [part.content for part in inline.children or () if part.type in ("text", "code_inline")]
            headings.add(int(token.tag[1]), _ANCHOR.sub("", "".join(words)))
        elif token.type == "html_block":
            yield from (
                Block(block.text, headings.path, line=begin + 1) for block in blocks_of_html(token.content)
            )
        else:
            kept = "\n".join(lines[begin:below]).strip("\n").rstrip()
            yield Block(kept, headings.path, line=begin + 1)
