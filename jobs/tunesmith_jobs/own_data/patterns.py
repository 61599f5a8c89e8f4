"""Patterns of files' paths, as shells and the hub have them. Pure."""

import contextlib
import functools
import re

# `**` is more than `*` only where it is a whole part
_PART = re.compile(r"(?<![^/])\*\*/|(?<![^/])\*\*(?![^/])|\*+|\?|\[[^\]/]+\]|.", re.DOTALL)
_MEANT = {"**/": "(?:[^/]+/)*", "?": "[^/]"}


def matches(path: str, pattern: str) -> bool:
    """Whether a path is one that a pattern means. `*` stands for a part of a name, `**` for folders, too.

    Nothing but `**` stands for a slash: a profile's rules look at one part after the other.
    """
    return _regex(pattern).fullmatch(path) is not None


@functools.lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    meant = [_meant(found[0], pattern, found.start()) for found in _PART.finditer(pattern)]
    return re.compile("".join(meant), re.DOTALL)


def _meant(part: str, pattern: str, start: int) -> str:
    if part in _MEANT:
        return _MEANT[part]
    if part == "**" and pattern[start - 1 : start] in ("", "/") and start + 2 == len(pattern):
        return ".*"
    if part.startswith("*"):
        return "[^/]*"
    if len(part) > 1:  # a choice of letters: [abc], [!0-9]
        inner = part[1:-1].replace("\\", r"\\").replace("[", r"\[")
        choice = f"(?!/)[^{inner[1:]}]" if inner.startswith("!") else f"(?!/)[{inner}]"
        with contextlib.suppress(re.error):  # [z-a] is no choice
            return re.compile(choice).pattern
    return re.escape(part)
