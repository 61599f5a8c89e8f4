"""Check own data offline: `python -m tunesmith_jobs.check_data FILE [--json]`.

`tunesmith data check` calls it. Standard output holds the result; the exit code is 0 or 65.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tunesmith.errors import ExitCode, TunesmithError
from tunesmith.plain_text import indented, json_text, one_line
from tunesmith.settings import Fields, Source
from tunesmith_jobs.own_data.fetch import fetch
from tunesmith_jobs.own_data.read import SourceRows, read_source


def main(argv: Sequence[str] | None = None) -> int:
    """Check a file; returns the exit code."""
    arguments = _parser().parse_args(argv)
    file = arguments.file
    uri = file if "://" in file else str(Path(file).expanduser().absolute())
    fields = Fields(**{name: getattr(arguments, name) for name in Fields.model_fields})
    try:
        result = read_source(fetch(uri), Source(uri=uri, fields=fields))
    except TunesmithError as error:
        if arguments.as_json:
            document = {"format": 1, "file": file, "valid": False, "message": str(error)}
            print(json_text(document))
        else:
            print(f"tunesmith: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.as_json:
        print(json_text(_document(file, result), indent=1))
    else:
        print(_text(file, result))
    return ExitCode.DONE if result.rows and not result.bad else ExitCode.BAD_DATA


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tunesmith data check")
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", dest="as_json")
    for name in Fields.model_fields:
        parser.add_argument(f"--{name}", default=name, help=f"name of the field {name}")
    return parser


def _document(file: str, result: SourceRows) -> dict[str, object]:
    return {
        "format": 1,
        "file": file,
        "valid": bool(result.rows) and not result.bad,
        "rows": len(result.rows),
        "kinds": dict(result.kinds()),
        "problems": [{"line": bad.line, "kind": bad.kind, "why": bad.why} for bad in result.bad],
    }


def _text(file: str, result: SourceRows) -> str:
    return "\n".join(
        [
            f"{one_line(file)}: {len(result.rows)} rows can be used, {len(result.bad)} cannot",
            *(f"  {count} x {one_line(kind)}" for kind, count in result.kinds().most_common()),
            *(f"line {bad.line}: {indented(bad.why)}" for bad in result.bad),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
