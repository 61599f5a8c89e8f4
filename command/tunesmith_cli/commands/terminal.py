"""What the terminal can show, and text that it can."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from tunesmith.errors import Problem
from tunesmith.plain_text import escaped, indented, json_text, printable
from tunesmith_cli.commands.options import Listing

_COLUMNS = 80
MINUTE, HOUR, DAY = 60, 3600, 86400


def fancy(stream: IO[str]) -> bool:
    """Whether colours and animation are wanted on a stream."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def width() -> int:
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size((_COLUMNS, 24)).columns


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
    """Columns with three blanks between them, as kubectl prints them; each cell in one line."""
    rows = [tuple(map(_cell, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cell(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\t", " ")


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


def say(text: str = "", *, end: str = "\n") -> None:
    """Print a part of the result, without what a terminal would obey."""
    print(printable(text), end=end, flush=True)


def tell(text: str, *, end: str = "\n") -> None:
    """Print what is not part of the result, for people: on standard error."""
    print(printable(text), end=end, file=sys.stderr, flush=True)


def tell_warnings(source: str, warnings: Sequence[Problem]) -> None:
    """Print what is probably not meant in a request, a line each. `source`: the file that it is in."""
    for warning in warnings:
        tell(f"warning: {source}: {warning}")


def say_json(document: Any, *, indent: int | None = 1) -> None:
    """Print a result for scripts as JSON: by default for people to read too, else in one line."""
    print(json_text(document, indent=indent), flush=True)


def say_exactly(text: str, *, end: str = "\n") -> None:
    """Print a document in JSON or YAML: what a terminal would obey is escaped in it, and so not lost."""
    print(escaped(text), end=end, flush=True)


def say_log(text: str) -> None:
    """Print a line of a log. A heading between logs is ours alone."""
    line = indented(text)
    say(f" {line}" if line.startswith("==>") else line)


def print_document(document: Mapping[str, Any], form: Listing) -> None:
    """Print a result for scripts on standard output, as JSON or YAML."""
    if form is Listing.JSON:
        say_json(document)
    else:
        from tunesmith_cli.commands.yaml_text import yaml_text

        say_exactly(yaml_text(document), end="")
