"""`validate` and `data check`: what is wrong, before anything runs."""

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import BadRequest, ExitCode, Usage
from tunesmith_cli.commands.options import AsJson, AsOutput, Files, Output, Sets
from tunesmith_cli.commands.target import target_of
from tunesmith_cli.commands.terminal import say, say_exactly, say_json, tell
from tunesmith_cli.local.processes import Toolbox

if TYPE_CHECKING:
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.local.request_files import LoadedRequest


def validate(
    context: typer.Context,
    files: Files,
    *,
    sets: Sets = [],  # noqa: B006 - typer takes a list as the default of a repeatable option
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Show every value, and where it comes from.")
    ] = False,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Print the snapshot that stages read, as JSON (one request).")
    ] = False,
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Check requests without running anything: everything that is wrong in all of them, at once."""
    from tunesmith_cli.local import cluster_fields
    from tunesmith_cli.local.answer_formats import check_formats
    from tunesmith_cli.local.request_files import local_snapshot, read_requests

    in_json = as_json or output is Output.JSON
    try:
        requests = read_requests(files, sets)
        check_formats(requests, context.obj)
    except BadRequest as error:
        if not in_json:
            raise
        _print_invalid(error)
        return error.exit_code
    snapshots = [local_snapshot(request, os.environ) for request in requests]
    for request in () if target_of(context).cluster else requests:
        if ignored := cluster_fields.note(request.request.spec):
            tell(f"{request.source}: {ignored}")
    if snapshot:
        if len(snapshots) != 1:
            raise Usage(f"--snapshot prints one request, and there are {len(snapshots)}")
        say_exactly(snapshots[0].to_json())
        return ExitCode.DONE
    show = _print_json if in_json else _print_text
    show(list(zip(requests, snapshots, strict=True)), resolved=resolved)
    return ExitCode.DONE


Valid = list[tuple["LoadedRequest", "Snapshot"]]


def _print_invalid(error: BadRequest) -> None:
    problems = [
        {"path": problem.path, "why": problem.why, "value": problem.value, "remedy": problem.remedy}
        for problem in error.problems
    ]
    document = {
        "format": 1,
        "valid": False,
        "message": error.message,
        "remedy": error.remedy,
        "problems": problems,
    }
    say_json(document)


def _print_json(valid: Valid, *, resolved: bool) -> None:
    requests = []
    for request, snapshot in valid:
        member: dict[str, Any] = {
            "name": snapshot.name,
            "run": snapshot.run,
            "source": request.source,
            "stages": [{"name": stage.name, "key": stage.key} for stage in snapshot.stages],
        }
        if resolved:
            member["spec"] = snapshot.spec.model_dump(mode="json", by_alias=True)
            member["provenance"] = snapshot.provenance
        requests.append(member)
    say_json({"format": 1, "valid": True, "requests": requests})


def _print_text(valid: Valid, *, resolved: bool) -> None:
    for request, snapshot in valid:
        stages = ", ".join(f"{stage.name} {stage.key}" for stage in snapshot.stages)
        say(f"{request.source}: request {snapshot.name} is valid: {stages}")
        if resolved:
            _print_values(snapshot)


def _print_values(snapshot: "Snapshot") -> None:
    from tunesmith.resolve import leaves
    from tunesmith_cli.commands.terminal import table

    spec = snapshot.spec.model_dump(mode="json", by_alias=True)
    values = {".".join(path): value for path, value in leaves(spec)}
    rows = [(f"  {path}", _value(values[path]), src) for path, src in snapshot.provenance.items()]
    say(table([("  FIELD", "VALUE", "FROM"), *rows]))


def _value(value: object) -> str:
    """A value as a request would have it, cut to 60 characters; a dash where nothing is set."""
    text = "-" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def check(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Your data: JSONL or CSV.")],
    *,
    prompt: Annotated[str, typer.Option(metavar="FIELD", help="Field of the prompt.")] = "prompt",
    response: Annotated[str, typer.Option(metavar="FIELD", help="Field of the response.")] = "response",
    messages: Annotated[str, typer.Option(metavar="FIELD", help="Field of chat messages.")] = "messages",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Check your own data offline: line number, field and reason of each bad row, and counts. Exits with 65
    if there is one.
    """
    from tunesmith_cli.local.environment import plain_environment
    from tunesmith_cli.local.foreground import run_in_foreground

    toolbox = context.obj
    assert isinstance(toolbox, Toolbox)
    more = ["--json"] if as_json or output is Output.JSON else []
    fields = ["--prompt", prompt, "--response", response, "--messages", messages]
    command = toolbox.module_command("check_data", file, *fields, *more)
    return run_in_foreground(command, plain_environment(os.environ))
