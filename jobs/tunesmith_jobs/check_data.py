"""Check own data offline: `python -m tunesmith_jobs.check_data FILE... [--json]`.

`tunesmith data check` calls it. Standard output holds the result; the exit code is 0 or 65. What it says of a
source is what the stage generate says; what it proposes are its own options.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from tunesmith.errors import BadData, ExitCode, Problem, TunesmithError, Usage
from tunesmith.plain_text import json_text
from tunesmith.settings import Fields, Source, SourceFormat
from tunesmith_jobs.data_report import document, text
from tunesmith_jobs.own_data.fetch import fetch
from tunesmith_jobs.own_data.read import SourceRows, read_fetched
from tunesmith_jobs.own_data.reader import PATH
from tunesmith_jobs.own_data.spoken import as_options
from tunesmith_jobs.row_tokens import RowTokens, count_tokens

_OPTIONS = ("format", "encoding", "config", "split")


def main(argv: Sequence[str] | None = None) -> int:
    """Check files as one source; returns the exit code."""
    arguments = _parser().parse_args(argv)
    name = arguments.files[0] if len(arguments.files) == 1 else f"{len(arguments.files)} files"
    try:
        _check_format(arguments.format)
        result = _read(arguments)
        tokens = count_tokens(result.rows, arguments.base)
    except TunesmithError as error:
        return _unreadable(name, error, as_json=arguments.as_json)
    usable = bool(result.rows) and not result.bad
    print(_shown(name, result, tokens, as_json=arguments.as_json))
    return ExitCode.DONE if usable else ExitCode.BAD_DATA


def _shown(name: str, result: SourceRows, tokens: RowTokens, *, as_json: bool) -> str:
    if as_json:
        return json_text(document(name, result, tokens), indent=1)
    return text(name, result, tokens)


def _read(arguments: argparse.Namespace) -> SourceRows:
    """The rows of all files, and what all of them that cannot be read lack."""
    fields = {name: getattr(arguments, name) for name in Fields.model_fields if getattr(arguments, name)}
    settings = {name: getattr(arguments, name) for name in _OPTIONS if getattr(arguments, name)}
    whole = SourceRows()
    failures: list[TunesmithError] = []
    for file in arguments.files:
        source = Source.model_validate({"uri": file, "fields": Fields(**fields), **settings})
        try:
            fetched = fetch(source, as_options)
            whole.add(read_fetched(fetched, source, as_options), file)
        except TunesmithError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        problems = [problem for each in failures for problem in each.problems or (Problem("", each.message),)]
        raise BadData(f"{len(failures)} files cannot be read", reason="BadRows", problems=problems)
    return whole


def _check_format(name: str) -> None:
    """Raises Usage for a form that there is not."""
    forms = get_args(SourceFormat)
    if name and name not in forms:
        raise Usage(f"there is no form {name!r}", remedy=f"--format is one of {', '.join(forms)}")


def _unreadable(name: str, error: TunesmithError, *, as_json: bool) -> int:
    message = str(error).replace(f"{PATH}.fields", "columns").replace(f"{PATH}.uri", "file")
    for option in _OPTIONS:
        message = message.replace(f"{PATH}.{option}", f"--{option}")
    if as_json:
        print(json_text({"format": 1, "file": name, "valid": False, "message": message}))
    else:
        print(f"tunesmith: {message}", file=sys.stderr)
    return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tunesmith data check")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--base", default="")
    for name in (*Fields.model_fields, *_OPTIONS):
        parser.add_argument(f"--{name}", default="")
    return parser


if __name__ == "__main__":
    sys.exit(main())
