"""Plain text: paragraphs are what blank lines divide. Pure."""

import re
from collections.abc import Iterator

from tunesmith_jobs.documents.block import Block, clean, with_text


def blocks_of_text(text: str) -> tuple[Block, ...]:
    """The paragraphs of a text, each with its line."""
    return with_text(_paragraphs(clean(text).split("\n")))


def _paragraphs(lines: list[str]) -> Iterator[Block]:
    begin = 0
    for number, line in enumerate([*lines, ""]):
        if line.strip():
            continue
        if number > begin:
            kept = "\n".join(each.rstrip() for each in lines[begin:number])
            yield Block(re.sub(r"\n+\Z", "", kept), line=begin + 1)
        begin = number + 1
