"""Write the reference pages that are generated from the code: `python scripts/reference.py [--check]`.

--check writes nothing and exits with 1, naming the pages, if any is stale.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from tunesmith.cli.main import app
from tunesmith.crd import schema_of
from tunesmith.errors import BadData, BadRequest, ExitCode, Gone, Refused, Stopped, TryAgain, TunesmithError, Usage
from tunesmith.plan import concerns
from tunesmith.presets import DATA, TRAINING
from tunesmith.request import Spec

PAGES = Path(__file__).resolve().parents[1] / "docs" / "reference"
GENERATED = "<!-- Written by scripts/reference.py; `make docs` writes it again. -->\n"


def request_page() -> str:
    """Every field of a request."""
    lines = [
        GENERATED,
        "# The request",
        "",
        "Fields of `spec`, in the order of their parts. *Stage*: the first stage whose key the field changes, so what runs again",
        "when it is edited; a dash means that it changes no result. A field without a value takes the preset's, else the profile's,",
        "else the built-in one; `tunesmith validate FILE --resolved` shows each value and where it came from.",
        "",
    ]
    parts: dict[str, list[str]] = {}
    for path, field in _fields(schema_of(Spec)):
        part = path.split(".")[0] if "." in path or "properties" in field else "spec"
        if "properties" not in field:
            parts.setdefault(part, []).append(_row(path, field))
    for part, rows in parts.items():
        title = "Top level" if part == "spec" else f"`{part}`"
        lines += [f"## {title}", "", "| field | type | stage | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    lines += ["## Presets", "", "`original` gives the settings of GPT-LLM-Trainer's notebook:", ""]
    lines += ["| field | value |", "| --- | --- |"]
    for part, preset in (("data", DATA["original"]), ("training", TRAINING["original"])):
        lines += [f"| `{part}.{name}` | `{json.dumps(value)}` |" for name, value in preset.items()]
    return "\n".join(lines) + "\n"


def _fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        if path == "stages" and name != "generate":
            continue  # all stages have the same fields
        here = here.replace("stages.generate", "stages.<name>")
        yield here, field
        yield from _fields(field, here)
        if "items" in field:
            yield from _fields(field["items"], f"{here}[]")


def _row(path: str, field: Mapping[str, Any]) -> str:
    stage = concerns(path.replace("[]", ""))
    meaning = field.get("description", "").replace("\n", " ").replace("|", "\\|")
    return f"| `{path}` | {_type(field)} | {stage or '–'} | {meaning} |"


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " \\| ".join(f"`{value}`" if value else "empty" for value in field["enum"])
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    bounds = []
    if "minimum" in field:
        bounds.append(f"{'>' if field.get('exclusiveMinimum') else '≥'} {field['minimum']:g}")
    if "maximum" in field:
        bounds.append(f"{'<' if field.get('exclusiveMaximum') else '≤'} {field['maximum']:g}")
    return " ".join([kind, *bounds])


def exit_codes_page() -> str:
    """Every exit code, of the stages and of the command line."""
    errors: tuple[type[TunesmithError], ...] = (Usage, BadData, Gone, TryAgain, Refused, BadRequest, Stopped)
    who = {error.exit_code: error for error in errors}
    own = {
        ExitCode.DONE: "Done.",
        ExitCode.BUG: "A fault of ours, with its traceback in the log; or, from `tunesmith run`, a gate that was not passed.",
        ExitCode.INTERRUPTED: "The command line was interrupted twice and left at once.",
    }
    lines = [
        GENERATED,
        "# Exit codes",
        "",
        "The same for stages and command line. *Retried*: whether the runner, or the Job, tries again by itself.",
        "",
        "| code | name | meaning | retried |",
        "| --- | --- | --- | --- |",
    ]
    for code in ExitCode:
        text = own.get(code) or (who[code].__doc__ or "").strip()
        retried = {ExitCode.BUG: "yes, counted", ExitCode.TRY_AGAIN: "yes, counted", ExitCode.STOPPED: "yes, not counted"}.get(code, "no")
        lines.append(f'| <a id="exit-{int(code)}"></a>{int(code)} | {code.name} | {text} | {retried} |')
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """The help text of every command, as `--help` prints it on a terminal of 100 columns."""
    lines = [GENERATED, "# Commands", ""]
    for words in _commands(typer.main.get_command(app), ()):
        help_text = CliRunner().invoke(app, [*words, "--help"], terminal_width=100, prog_name="tunesmith").output.strip()
        lines += [f"## {' '.join(['tunesmith', *words])}", "", "```", help_text, "```", ""]
    return "\n".join(lines)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from _commands(child, (*words, name))


def main() -> int:
    """Write the pages, or with --check name those that are stale."""
    pages = {"request.md": request_page(), "exit-codes.md": exit_codes_page(), "commands.md": commands_page()}
    stale = [name for name, text in pages.items() if not (PAGES / name).exists() or (PAGES / name).read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        if stale:
            print(f"stale in docs/reference: {', '.join(stale)}; run `make docs`")
        return 1 if stale else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (PAGES / name).write_text(pages[name], encoding="utf-8")
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
