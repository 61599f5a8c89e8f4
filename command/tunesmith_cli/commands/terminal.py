"""What the terminal can show, and text that it can."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from tunesmith_cli.commands.options import Listing

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_COLUMNS = 80
MINUTE, HOUR, DAY = 60, 3600, 86400


def fancy(stream: IO[str]) -> bool:
    """Whether colours and animation are wanted on a stream."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def width() -> int:
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size((_COLUMNS, 24)).columns


def printable(text: str) -> str:
    """Text from models, data and libraries without the codes that a terminal would obey."""
    return _CONTROL.sub("", _ESCAPES.sub("", text))


def duration(seconds: float) -> str:
    """`0:07`, `12:30`, `3:05:00`."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // HOUR, whole % HOUR // MINUTE, whole % MINUTE
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def age(seconds: float) -> str:
    """As kubectl's AGE: `40s`, `5m`, `3h`, `12d`."""
    for unit, letter in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= 2 * unit or (unit > MINUTE and seconds >= unit):
            return f"{int(seconds // unit)}{letter}"
    return f"{int(max(0, seconds))}s"


def age_of(stamp: str | None) -> str:
    """The age of a time of the API server (RFC 3339)."""
    return age((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()) if stamp else "<unknown>"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns with three blanks between them, as kubectl prints them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def fitted(rows: Sequence[tuple[str, ...]], least: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Rows that, as a table, fit into the columns of the terminal (80 at least) where that is possible.

    `least`: titles of what may be cut, the first one first, and to how much.
    """
    shortened = list(rows)
    room = max(_COLUMNS, width()) - 3 * (len(rows[0]) - 1)
    for title, fewest in least.items():
        if title in rows[0]:
            column = rows[0].index(title)
            widths = [max(map(len, cells)) for cells in zip(*shortened, strict=True)]
            size = max(fewest, room - sum(widths) + widths[column])
            shortened = [(*row[:column], _cut(row[column], size), *row[column + 1 :]) for row in shortened]
    return shortened


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"


def own_command() -> str:
    """How this command is called from here: by its name if the PATH has it, else by the path of the one that
    runs.
    """
    path = Path(sys.executable).parent / "tunesmith"
    if shutil.which("tunesmith") or not path.exists():
        return "tunesmith"
    return shlex.quote(os.path.relpath(path))


def tell(text: str) -> None:
    """Print a line for people that is not part of the result: on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def print_document(document: Mapping[str, Any], form: Listing) -> None:
    """Print a result for scripts on standard output, as JSON or YAML."""
    if form is Listing.JSON:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        from tunesmith_cli.commands.yaml_text import yaml_text

        print(yaml_text(document), end="")
