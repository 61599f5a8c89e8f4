"""`validate` and `data check`: what is wrong, before anything runs."""

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tunesmith.errors import BadRequest, ExitCode, Problem, Usage
from tunesmith_cli.commands.options import AsJson, AsOutput, Files, Output, Sets
from tunesmith_cli.commands.target import target_of
from tunesmith_cli.commands.terminal import say, say_exactly, say_json, tell_warnings
from tunesmith_cli.local.processes import Toolbox

if TYPE_CHECKING:
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.local.document_checks import Looked
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
    """Check requests without running anything: everything that is wrong in all of them, at once.

    A warning is for what can run and is probably not meant; the exit code is 0 then.
    """
    from tunesmith_cli.local.request_files import local_snapshot, read_requests
    from tunesmith_cli.local.request_warnings import warnings_of

    in_json = as_json or output is Output.JSON
    here = not target_of(context).cluster
    try:
        requests = read_requests(files, sets, here=here)
        looked = _look_into(requests, context.obj)
    except (BadRequest, Usage) as error:
        if not in_json:
            raise
        _print_invalid(error)
        return error.exit_code
    snapshots = [local_snapshot(request, os.environ) for request in requests]
    valid = [
        _Valid(
            request,
            snapshot,
            [*warnings_of(request, snapshot.spec, here=here), *found.warnings],
        )
        for request, snapshot, found in zip(requests, snapshots, looked, strict=True)
    ]
    for each in valid:
        tell_warnings(each.request.source, each.warnings)
    if snapshot:
        if len(snapshots) != 1:
            raise Usage(f"--snapshot prints one request, and there are {len(snapshots)}")
        say_exactly(snapshots[0].to_json())
        return ExitCode.DONE
    show = _print_json if in_json else _print_text
    show(valid, resolved=resolved)
    return ExitCode.DONE


def _look_into(requests: "Sequence[LoadedRequest]", toolbox: Toolbox) -> "list[Looked]":
    """What the stages' own readers say. Raises one BadRequest with everything that cannot be used."""
    from tunesmith_cli.local.answer_formats import format_failures
    from tunesmith_cli.local.document_checks import look_at_documents
    from tunesmith_cli.local.invalid import Invalid

    failures = format_failures(requests, toolbox)
    looked = [look_at_documents(each.request.spec, toolbox) for each in requests]
    failures += [
        (each.source, BadRequest("the documents cannot be read", problems=found.problems))
        for each, found in zip(requests, looked, strict=True)
        if found.problems
    ]
    if failures:
        raise Invalid(failures)
    return looked


class _Valid(NamedTuple):
    """A request that can run."""

    request: "LoadedRequest"
    snapshot: "Snapshot"
    warnings: list[Problem]


def _print_invalid(error: BadRequest | Usage) -> None:
    from tunesmith_cli.local.invalid import Invalid

    found = error.found if isinstance(error, Invalid) else [("", problem) for problem in error.problems]
    document = {
        "format": 1,
        "valid": False,
        "message": error.message,
        "remedy": error.remedy,
        "problems": [{"source": source} | _members(problem) for source, problem in found],
    }
    say_json(document)


def _members(problem: Problem) -> dict[str, Any]:
    return {"path": problem.path, "why": problem.why, "value": problem.value, "remedy": problem.remedy}


def _print_json(valid: list[_Valid], *, resolved: bool) -> None:
    requests = []
    for request, snapshot, warnings in valid:
        member: dict[str, Any] = {
            "name": snapshot.name,
            "run": snapshot.run,
            "source": request.source,
            "stages": [{"name": stage.name, "key": stage.key} for stage in snapshot.stages],
            "warnings": [_members(problem) for problem in warnings],
        }
        if resolved:
            member["spec"] = snapshot.spec.model_dump(mode="json", by_alias=True)
            member["provenance"] = snapshot.provenance
        requests.append(member)
    say_json({"format": 1, "valid": True, "requests": requests})


def _print_text(valid: list[_Valid], *, resolved: bool) -> None:
    for request, snapshot, _ in valid:
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
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Your data: JSON Lines, JSON, CSV, Parquet, packed or not; a folder; s3://, hf://",
        ),
    ],
    *,
    prompt: Annotated[str, typer.Option(metavar="FIELD", help="Field of the prompt.")] = "",
    response: Annotated[str, typer.Option(metavar="FIELD", help="Field of the response.")] = "",
    messages: Annotated[str, typer.Option(metavar="FIELD", help="Field of chat messages.")] = "",
    input_: Annotated[
        str, typer.Option("--input", metavar="FIELD", help="Field that is put below the prompt.")
    ] = "",
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Form of the files: jsonl, json, csv, parquet.")
    ] = "",
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Text encoding, such as cp1251.")] = "",
    config: Annotated[str, typer.Option(metavar="NAME", help="Configuration of a dataset on the hub.")] = "",
    split: Annotated[str, typer.Option(metavar="NAME", help="Split of a dataset on the hub.")] = "",
    base: Annotated[
        str, typer.Option(metavar="MODEL", help="Count tokens by this model's tokenizer, not by an estimate.")
    ] = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Check your own data without running anything: how it is read, what is guessed and not used, each bad
    row with its line and reason, duplicates, tokens. Exits with 65 if a row cannot be used.
    """
    from tunesmith_cli.local.environment import plain_environment
    from tunesmith_cli.local.foreground import run_in_foreground

    toolbox = context.obj
    assert isinstance(toolbox, Toolbox)
    given = {
        "prompt": prompt,
        "response": response,
        "messages": messages,
        "input": input_,
        "format": format_,
        "encoding": encoding,
        "config": config,
        "split": split,
        "base": base,
    }
    options = [word for name, value in given.items() if value for word in (f"--{name}", value)]
    more = ["--json"] if as_json or output is Output.JSON else []
    command = toolbox.module_command("check_data", *options, *more, "--", *files)
    environment = plain_environment(os.environ)
    if any(place.lower().startswith("hf://") for place in (*files, base)) and "HF_TOKEN" in os.environ:
        environment["HF_TOKEN"] = os.environ["HF_TOKEN"]
    return run_in_foreground(command, environment)
