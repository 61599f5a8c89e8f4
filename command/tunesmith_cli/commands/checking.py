"""`validate` and `data check`: what is wrong, before anything runs."""

import json
import os
from typing import Annotated

import typer

from tunesmith.errors import BadRequest, ExitCode, Usage
from tunesmith_cli.commands.options import AsJson, AsOutput, Files, Output, Sets
from tunesmith_cli.local.processes import Toolbox


def validate(
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
    """Check requests without running anything: all that is wrong in all of them, at once."""
    from tunesmith_cli.local.requests import local_snapshot, read_requests

    in_json = as_json or output is Output.JSON
    try:
        asked = read_requests(files, sets)
    except BadRequest as error:
        if not in_json:
            raise
        problems = [
            {"path": p.path, "why": p.why, "value": p.value, "remedy": p.remedy} for p in error.problems
        ]
        document = {
            "format": 1,
            "valid": False,
            "message": error.message,
            "remedy": error.remedy,
            "problems": problems,
        }
        print(json.dumps(document, indent=1, ensure_ascii=False, default=str))
        return error.exit_code
    made = [local_snapshot(one, os.environ) for one in asked]
    if snapshot:
        if len(made) != 1:
            raise Usage(f"--snapshot prints one request, and there are {len(made)}")
        print(made[0].to_json())
    elif in_json:
        requests = [
            {
                "name": one.name,
                "run": one.run,
                "source": source.source,
                "stages": [{"name": stage.name, "key": stage.key} for stage in one.stages],
                **(
                    {"spec": one.spec.model_dump(mode="json", by_alias=True), "provenance": one.provenance}
                    if resolved
                    else {}
                ),
            }
            for one, source in zip(made, asked, strict=True)
        ]
        print(json.dumps({"format": 1, "valid": True, "requests": requests}, indent=1, ensure_ascii=False))
    else:
        for one, source in zip(made, asked, strict=True):
            print(
                f"{source.source}: request {one.name} is valid: {', '.join(f'{stage.name} {stage.key}' for stage in one.stages)}"
            )
            if resolved:
                _print_resolved(one.spec.model_dump(mode="json", by_alias=True), one.provenance)
    return ExitCode.DONE


def _print_resolved(spec: dict[str, object], provenance: dict[str, str]) -> None:
    from tunesmith.resolve import leaves
    from tunesmith_cli.commands.terminal import printable, table

    values = {".".join(path): value for path, value in leaves(spec)}
    print(
        table(
            [
                ("  FIELD", "VALUE", "FROM"),
                *(
                    (f"  {path}", printable(_value(values[path])), source)
                    for path, source in provenance.items()
                ),
            ]
        )
    )


def _value(value: object) -> str:
    """As it would stand in a request, cut to 60 characters; a dash where nothing is set."""
    text = "-" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def check(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Own data: JSONL or CSV.")],
    *,
    prompt: Annotated[str, typer.Option(metavar="FIELD", help="Field of the prompt.")] = "prompt",
    response: Annotated[str, typer.Option(metavar="FIELD", help="Field of the response.")] = "response",
    messages: Annotated[str, typer.Option(metavar="FIELD", help="Field of chat messages.")] = "messages",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Check own data offline: line number, field and reason of each bad row, and counts. Bad data ends with 65."""
    from tunesmith_cli.local.call import call
    from tunesmith_cli.local.environment import plain_environment

    toolbox = context.obj
    assert isinstance(toolbox, Toolbox)
    more = ["--json"] if as_json or output is Output.JSON else []
    fields = ["--prompt", prompt, "--response", response, "--messages", messages]
    command = toolbox.module_command("check_data", file, *fields, *more)
    return call(command, plain_environment(os.environ))
