"""Texts in Markdown, whatever they hold."""

import re


def fenced(text: str, language: str = "") -> str:
    """A text as a code block, within a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
