"""Check own data offline: `python -m tunesmith_jobs.check_data FILE [--json]`, which `tunesmith data check` calls.

Standard output holds the result; the exit code is 0 or 65.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tunesmith.errors import ExitCode, TunesmithError
from tunesmith.settings import Fields, Source
from tunesmith_jobs.generate.own_data import Read, fetch, parse_source


def main(argv: Sequence[str] | None = None) -> int:
    """Check a file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tunesmith data check")
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", dest="as_json")
    for name in Fields.model_fields:
        parser.add_argument(f"--{name}", default=name, help=f"name of the field {name}")
    arguments = parser.parse_args(argv)
    file = arguments.file
    uri = file if "://" in file else str(Path(file).expanduser().absolute())
    fields = Fields(**{name: getattr(arguments, name) for name in Fields.model_fields})
    try:
        read = parse_source(fetch(uri), Source(uri=uri, fields=fields))
    except TunesmithError as error:
        if arguments.as_json:
            print(
                json.dumps(
                    {"format": 1, "file": file, "valid": False, "message": str(error)}, ensure_ascii=False
                )
            )
        else:
            print(f"tunesmith: {error}", file=sys.stderr)
        return error.exit_code
    print(
        json.dumps(_document(file, read), indent=1, ensure_ascii=False)
        if arguments.as_json
        else _text(file, read)
    )
    return ExitCode.DONE if read.rows and not read.bad else ExitCode.BAD_DATA


def _document(file: str, read: Read) -> dict[str, object]:
    return {
        "format": 1,
        "file": file,
        "valid": bool(read.rows) and not read.bad,
        "rows": len(read.rows),
        "kinds": dict(Counter(kind for _, kind, _ in read.bad)),
        "problems": [{"line": line, "kind": kind, "why": why} for line, kind, why in read.bad],
    }


def _text(file: str, read: Read) -> str:
    lines = [f"{file}: {len(read.rows)} rows can be used, {len(read.bad)} cannot"]
    lines += [f"  {count} x {kind}" for kind, count in Counter(kind for _, kind, _ in read.bad).most_common()]
    return "\n".join(lines + [f"line {line}: {why}" for line, _, why in read.bad])


if __name__ == "__main__":
    sys.exit(main())
