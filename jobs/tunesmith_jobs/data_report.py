"""What `data check` says of a source: as text in 80 columns, and as JSON. Pure."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tunesmith.plain_text import one_line
from tunesmith_jobs.own_data.read import SourceRows, count_in_words, in_words, shape_in_words
from tunesmith_jobs.own_data.reader import BadLine
from tunesmith_jobs.own_data.spoken import as_options
from tunesmith_jobs.row_tokens import RowTokens
from tunesmith_jobs.rows import Row

_WIDTH = 80
_COLUMN = 10  # characters of the words at the left
_LINES = 100  # bad lines in the text; JSON has all


def text(name: str, result: SourceRows, tokens: RowTokens) -> str:
    """For people: counts, how the files were read, what was guessed, what is not used, tokens, bad lines."""
    several = len(result.files) > 1
    lines = [f"{one_line(name)}: {len(result.rows)} rows can be used, {len(result.bad)} cannot"]
    if not result.rows and not result.bad:
        lines = [f"{one_line(name)}: has no rows"]
    lines += [f"  {count} x {one_line(kind)}" for kind, count in result.kinds().most_common()]
    for each in result.files:
        where = f"{each.name}: {count_in_words(each.rows)}, " if several else ""
        lines += _item("read as", f"{where}{in_words(each)}")
    lines += [
        line
        for columns, count in result.shapes.most_common()
        for line in _item("shape", f"{count} x {shape_in_words(columns)}")
    ]
    lines += [line for note in result.others for line in _item("note", note)]
    lines += [
        line
        for note, count in result.notes.most_common()
        for line in _item("note", f"{note} ({count_in_words(count)})")
    ]
    repeated, otherwise = duplicates(result.rows)
    if repeated:
        also = f" ({otherwise} with another answer)" if otherwise else ""
        said = f"rows whose prompt an earlier row has exactly, and which are dropped: {repeated}{also}"
        lines += _item("repeated", said)
    if figures := tokens.figures():
        middle = f"a row {figures['p50']} (median), {figures['p95']} (95 %), {figures['max']} (longest)"
        lines += _item("tokens", f"{figures['total']} in all; {middle}; {tokens.by}")
        lines += _item(
            "length",
            f"training.maxLength: {tokens.length} cuts none of them; add the tokens of data.systemMessage",
        )
    if result.proposed and not result.rows:
        lines += _item("try", f"{as_options(result.proposed).removeprefix('give ')}")
    for bad in result.bad[:_LINES]:
        lines += _wrapped(f"{_place(bad)}: {one_line(bad.why)}", "", "  ")
    if len(result.bad) > _LINES:
        lines.append(f"and {len(result.bad) - _LINES} more; --json has all of them")
    return "\n".join(lines)


def document(name: str, result: SourceRows, tokens: RowTokens) -> dict[str, Any]:
    """The same for programs."""
    repeated, otherwise = duplicates(result.rows)
    return {
        "format": 1,
        "file": name,
        "valid": bool(result.rows) and not result.bad,
        "rows": len(result.rows),
        "kinds": dict(result.kinds()),
        "problems": [
            {"line": bad.line, "kind": bad.kind, "why": bad.why} | ({"file": bad.file} if bad.file else {})
            for bad in result.bad
        ],
        "files": [
            {"name": each.name, "rows": each.rows, "form": each.form, "encoding": each.encoding}
            for each in result.files
        ],
        "shapes": [
            {"shape": columns.shape, "rows": count, "guessed": columns.guessed}
            | {
                part: value
                for part in ("prompt", "response", "input", "messages")
                if (value := getattr(columns, part))
            }
            for columns, count in result.shapes.most_common()
        ],
        "notes": [{"note": note} for note in result.others]
        + [{"note": note, "rows": count} for note, count in result.notes.most_common()],
        "duplicates": {"rows": repeated, "otherAnswer": otherwise},
        "tokens": {**tokens.figures(), "by": tokens.by, "maxLength": tokens.length},
        "proposed": result.proposed,
    }


def duplicates(rows: Sequence[Row]) -> tuple[int, int]:
    """Rows whose conversation up to the answer is an earlier row's, and those that answer it otherwise."""
    asked = [(tuple(turn.content for turn in row.history), row.prompt) for row in rows]
    answers = {key: row.response for key, row in zip(reversed(asked), reversed(rows), strict=True)}
    repeated = sum(count - 1 for count in Counter(asked).values())
    otherwise = sum(row.response != answers[key] for key, row in zip(asked, rows, strict=True))
    return repeated, otherwise


def _place(bad: BadLine) -> str:
    where = f"{bad.unit} {bad.line}"
    return f"{one_line(bad.file)}, {where}" if bad.file else where


def _item(word: str, said: str) -> list[str]:
    """A line with a word at the left, wrapped."""
    return _wrapped(one_line(said), f"  {word:<{_COLUMN}}", " " * (_COLUMN + 2))


def _wrapped(said: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        said,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
