"""Text that others wrote (models, data, endpoints, clusters), so that a terminal and a reader can trust it.
Pure.

A terminal obeys control characters: they move the cursor, hide lines, set the title. What kubectl escapes
(CVE-2021-25743) is removed here, with \\r and the C1 range, and so are the nine characters that turn the
direction of text around (CVE-2021-42574). Tabs and newlines stay.
"""

import json
import re
from typing import Any

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LINE_BREAKS = re.compile("[\u2028\u2029]")
# What JSON and YAML leave as it is, within their strings.
_UNESCAPED = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without what a terminal would obey."""
    return _OBEYED.sub("", _ESCAPES.sub("", _LINE_BREAKS.sub("\n", text)))


def one_line(text: str) -> str:
    """The text in one line, for a cell of a table or the middle of a sentence."""
    return " ".join(printable(text).split())


def indented(text: str, by: str = "  ") -> str:
    """The text with its further lines indented, so that none of them can pass for a line of ours."""
    return printable(text).replace("\n", f"\n{by}")


def json_text(document: Any, *, indent: int | None = None) -> str:
    """A document as JSON that people can read, in which a terminal finds nothing to obey."""
    return escaped(json.dumps(document, indent=indent, ensure_ascii=False, default=str))


def escaped(text: str) -> str:
    """A text in JSON, or in double quotes in YAML, with escapes for what only a terminal would obey."""
    return _UNESCAPED.sub(lambda character: f"\\u{ord(character[0]):04x}", text)


def needs_escapes(text: str) -> bool:
    """Whether `escaped` would change it."""
    return _UNESCAPED.search(text) is not None
