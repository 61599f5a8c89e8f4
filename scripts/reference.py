"""Writes the pages of docs/ that are generated from the code, and Argo CD's test data.

`python scripts/reference.py [--check]`: --check writes nothing and exits with 1, naming the files, if any is
stale or should not be there.
"""

import inspect
import json
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main
import yaml
from typer.testing import CliRunner

from tunesmith import url_patterns
from tunesmith.crd import schema_of
from tunesmith.plan import concerns
from tunesmith.presets import DATA, TRAINING
from tunesmith.profile import Profile
from tunesmith.request import Spec
from tunesmith.settings import LARGEST
from tunesmith.status import Status
from tunesmith.wire import API_VERSION, KIND
from tunesmith_cli.app import app
from tunesmith_cli.commands.help_topics import EXIT_CODES
from tunesmith_cli.commands.json_members import DOCUMENTS

ROOT = Path(__file__).resolve().parents[1]
PAGES = "docs/reference"
GENERATED = "<!-- Written by scripts/reference.py; `make docs` writes it again. -->\n"
ARGOCD = "docs/argocd/testdata"


def request_page() -> str:
    """Every field of a request."""
    lines = [
        GENERATED,
        "# The request",
        "",
        "The fields of `spec`, part by part. *Stage* is the first stage whose key the field changes: that",
        "stage and those after it run again when the field is edited; a dash means that the field changes",
        "no result. A field without a value takes the preset's, else the profile's, else the built-in one;",
        "`tunesmith validate FILE --resolved` shows each value and where it came from.",
        "",
    ]
    parts: dict[str, list[str]] = {}
    for path, field in _fields(schema_of(Spec)):
        part = path.split(".")[0] if "." in path or "properties" in field else "spec"
        if "properties" not in field:
            parts.setdefault(part, []).append(_row(path, field))
    for part, rows in parts.items():
        title = "Top level" if part == "spec" else f"`{part}`"
        lines += [
            f"## {title}",
            "",
            "| field | type | stage | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    lines += ["## Presets", "", "`original` gives the settings of GPT-LLM-Trainer's notebook:", ""]
    lines += ["| field | value |", "| --- | --- |"]
    for part, preset in (("data", DATA["original"]), ("training", TRAINING["original"])):
        lines += [f"| `{part}.{name}` | `{json.dumps(value)}` |" for name, value in preset.items()]
    return "\n".join(lines) + "\n"


def _fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        if path in ("stages", "pods") and name != "generate":
            continue  # all stages have the same fields
        here = here.replace("stages.generate", "stages.<name>").replace("pods.generate", "pods.<name>")
        yield here, field
        yield from _fields(field, here)
        if "items" in field:
            yield from _fields(field["items"], f"{here}[]")


def _row(path: str, field: Mapping[str, Any]) -> str:
    stage = concerns(path.replace("[]", ""))
    return f"| `{path}` | {_type(field)} | {stage or '–'} | {_meaning(field)} |"


def _meaning(field: Mapping[str, Any]) -> str:
    return str(field.get("description", "")).replace("\n", " ").replace("|", "\\|")


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
        bounds.append(f"{'>' if field.get('exclusiveMinimum') else '≥'} {_number(field['minimum'])}")
    if field.get("maximum", LARGEST) != LARGEST:
        bounds.append(f"{'<' if field.get('exclusiveMaximum') else '≤'} {_number(field['maximum'])}")
    return " ".join([kind, *bounds])


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def exit_codes_page() -> str:
    """Every exit code, of the stages and of the command line."""
    lines = [
        GENERATED,
        "# Exit codes",
        "",
        "Stages and the command line use the same codes; `tunesmith help exit-codes` prints them too.",
        "*Retried* says whether the runner, or the Job, tries again by itself.",
        "",
        "| code | name | meaning | what to do | retried |",
        "| --- | --- | --- | --- | --- |",
    ]
    for code, meaning in EXIT_CODES.items():
        anchor = f'<a id="exit-{int(code)}"></a>'
        lines.append(
            f"| {anchor}{int(code)} | {code.name} | {meaning.text} | {meaning.remedy} | {meaning.retried} |"
        )
    return "\n".join(lines) + "\n"


def json_page() -> str:
    """The members of every command's JSON."""
    lines = [
        GENERATED,
        "# JSON of the commands",
        "",
        "What `-o json` (or `--json`) prints on standard output; `-o yaml`, where a command has it, has the",
        "same members. `format` is 1. It rises when a member is renamed, is dropped, or changes its",
        "meaning; new members do not raise it. In a path, `[]` means each item of a list, `<…>` any name,",
        "and `?` that the member may be absent. A member without a value is null.",
        "",
        "`create`, `crd` and `schema` print a Kubernetes object or a JSON Schema instead.",
    ]
    for document in DOCUMENTS.values():
        lines += ["", f"## {document.title}", "", "| member | meaning |", "| --- | --- |"]
        lines += [f"| `{path}` | {meaning} |" for path, meaning in document.members.items()]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """The help text of every command, as `--help` prints it on a terminal of 100 columns."""
    lines = [GENERATED, "# Commands", ""]
    for words in _commands(typer.main.get_command(app), ()):
        help_text = (
            CliRunner()
            .invoke(app, [*words, "--help"], terminal_width=100, prog_name="tunesmith")
            .output.strip()
        )
        lines += [f"## {' '.join(['tunesmith', *words])}", "", "```", help_text, "```", ""]
    return "\n".join(lines)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from _commands(child, (*words, name))


def profile_page() -> str:
    """Every field of a profile."""
    lines = [
        GENERATED,
        "# The profile",
        "",
        "What the platform team decides for all requests that name the profile by `spec.profile`: the",
        "values below `profiles.<name>` of the chart. It is frozen together with the snapshot of a request,",
        "so an edit changes no run that has begun. A new `spec.retry` takes the current images, Secrets,",
        "`pods` and `allow`, but not `defaults` and `models`; a new `spec.rerun` takes all of it. Secrets",
        "and ConfigMaps are those of the request's namespace.",
        "",
        *_parts_of(schema_of(Profile), {"name"}),
        "## Patterns of `allow`",
        "",
        inspect.cleandoc(url_patterns.__doc__ or "").partition("\n\n")[2],
        "",
        "`{namespace}` in a pattern stands for the request's own namespace.",
        "",
        "Whatever `allow.env` says, a request can never set a variable that decides where secrets go or",
        "what is run: endpoints, credentials, proxies and certificates, `PATH`, `LD_*`, `PYTHON*`, plugins",
        "and compilers, `NVIDIA_*`, telemetry.",
    ]
    return "\n".join(lines) + "\n"


def status_page() -> str:
    """Every field of a status."""
    lines = [
        GENERATED,
        "# The status",
        "",
        "What the controller writes back into a TrainingRequest. A field without a value is left out or",
        "empty.",
        "",
        *_parts_of(schema_of(Status), set()),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _parts_of(schema: Mapping[str, Any], without: Collection[str]) -> Iterator[str]:
    """A table of the plain fields, then one for each part."""
    plain: list[str] = []
    parts: dict[str, tuple[str, list[str]]] = {}
    for path, field in _fields(schema):
        top = path.partition(".")[0].removesuffix("[]")
        if top in without:
            continue
        if path == top and ("properties" in field or "properties" in field.get("items", {})):
            parts[top] = (field.get("description", ""), [])
        elif "properties" not in field:
            (parts[top][1] if top in parts else plain).append(
                f"| `{path}` | {_type(field)} | {_meaning(field)} |"
            )
    head = ["| field | type | meaning |", "| --- | --- | --- |"]
    yield from [*head, *plain, ""]
    for name, (about, rows) in parts.items():
        yield from [f"## `{name}`", "", about, "", *head, *rows, ""]


def argocd_files() -> dict[str, str]:
    """Argo CD's test data, in the form of its own repository: each state of tests/contract/statuses."""
    files: dict[str, str] = {}
    tests = []
    for path in sorted((ROOT / "tests/contract/statuses").glob("*.json")):
        state = json.loads(path.read_text(encoding="utf-8"))
        if "deletionTimestamp" in state["metadata"]:
            continue  # Argo CD does not ask about an object that is being deleted
        seen = state["status"]["observedGeneration"] == state["metadata"]["generation"]
        message = state["status"]["message"] if seen else "waiting for the controller"
        tests.append(
            {
                "healthStatus": {"status": state["argo"], "message": message},
                "inputPath": f"testdata/{path.stem}.yaml",
            }
        )
        thing = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": "riddles", "namespace": "team-a"} | state["metadata"],
            "spec": {"task": "Answer riddles.", "model": {"base": "hf://org/model"}} | state["spec"],
            "status": state["status"],
        }
        files[f"{ARGOCD}/{path.stem}.yaml"] = _yaml(thing)
    return files | {"docs/argocd/health_test.yaml": _yaml({"tests": tests})}


class _Indented(yaml.SafeDumper):
    """Lists are indented below their key, as yamllint wants them."""

    # PyYAML's own signature
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)


def _yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=100))


def main() -> int:
    """Write the files and remove orphaned test data, or with --check name what would change."""
    files = {
        f"{PAGES}/request.md": request_page(),
        f"{PAGES}/profile.md": profile_page(),
        f"{PAGES}/status.md": status_page(),
        f"{PAGES}/exit-codes.md": exit_codes_page(),
        f"{PAGES}/json.md": json_page(),
        f"{PAGES}/commands.md": commands_page(),
    } | argocd_files()
    stale = [
        name
        for name, text in files.items()
        if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != text
    ]
    there = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / ARGOCD).iterdir())]
    orphans = [name for name in there if name not in files]
    if "--check" in sys.argv:
        if stale or orphans:
            print(f"stale: {', '.join([*stale, *orphans])}; run `make docs`")
        return 1 if stale or orphans else 0
    for name in orphans:
        (ROOT / name).unlink()
        print(f"removed {name}")
    for name in stale:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(files[name], encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
