"""`preview` and `plan`: the beginning of a dataset, to be looked at before the rest of it is paid for."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import BadRequest, ExitCode, Usage
from tunesmith_cli.commands.options import AsJson, AsOutput, Files, Output, Sets, Store
from tunesmith_cli.commands.stored_runs import open_runs
from tunesmith_cli.commands.terminal import say, say_json, tell

if TYPE_CHECKING:
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.local.trial import Trial

MOST_ROWS = 20
FIRST_CALLS = 5  # plan and system message, which may be asked for again


def preview(
    context: typer.Context,
    files: Files,
    *,
    sets: Sets = [],  # noqa: B006 - typer takes a list as the default of a repeatable option
    rows: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="How many rows to show.")] = 3,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Have the teacher write the system message and the first rows of a dataset, and show them.

    They are the rows that `run` begins with: the run keeps what was paid for, and does not pay for it again.
    """
    from tunesmith.plain_text import one_line

    snapshot, trial = _asked(context, files, sets, store, rows)
    if as_json or output is Output.JSON:
        say_json({"format": 1, "name": snapshot.name, "run": snapshot.run, **_members(trial)})
        return ExitCode.DONE
    say(f"system message:\n{_indented(trial.system_message)}")
    for number, row in enumerate(trial.rows, start=1):
        say(f"\nrow {number}\n  prompt:\n{_indented(row['prompt'], 4)}")
        say(f"  response:\n{_indented(row['response'], 4)}")
        if row.get("passage"):
            say(f"  passage: {one_line(row['passage'])}\n{_indented(row['evidence'], 4)}")
    for rejected in trial.rejected:
        say(f"\nleft out, {rejected['reason']}: {rejected.get('detail', '')}")
    tell(f"{len(trial.seen)} answers; `tunesmith run` uses them, and pays for the rest only")
    return ExitCode.DONE


def plan(
    context: typer.Context,
    files: Files,
    *,
    sets: Sets = [],  # noqa: B006 - typer takes a list as the default of a repeatable option
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there. Built-in: print it.")
    ] = None,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Have the teacher plan a dataset: what prompts and responses look like, topics, personas, axes, levels.

    What it writes belongs below `spec` of the request, where it is taken as it is after you have changed it.
    The run keeps what was paid for.
    """
    snapshot, trial = _asked(context, files, sets, store, 0)
    found: dict[str, Any] = {"systemMessage": trial.system_message, "plan": trial.plan}
    if as_json or output is Output.JSON:
        say_json({"format": 1, "name": snapshot.name, "run": snapshot.run, **found})
        return ExitCode.DONE
    from tunesmith_cli.commands.yaml_text import yaml_text

    text = yaml_text({"data": found})
    if out is None:
        say(text.rstrip("\n"))
        return ExitCode.DONE
    out.write_text(text, encoding="utf-8")
    say(f"{out}: the plan of {snapshot.name}; look at it, change it, and put it below `spec` of the request")
    return ExitCode.DONE


def _asked(
    context: typer.Context, files: list[str], sets: list[str], store: str, rows: int
) -> "tuple[Snapshot, Trial]":
    from tunesmith_cli.local.request_files import local_snapshot, read_requests
    from tunesmith_cli.local.trial import ask_teacher

    requests = read_requests(files, sets)
    if len(requests) != 1:
        raise Usage(f"this looks at one request, and there are {len(requests)}")
    snapshot = local_snapshot(requests[0], os.environ)
    data = snapshot.spec.data
    if not data.asks_teacher:
        raise BadRequest(
            "no teacher writes the rows of this request",
            remedy="of own data, `tunesmith data check` shows what is in it",
        )
    if not rows and data.strategy != "plan":
        raise BadRequest("this request has no plan", remedy="leave `strategy: chain` out")
    most = FIRST_CALLS + rows * (2 + (3 if data.judge else 0) + data.agreement + (1 if data.evolve else 0))
    trial = ask_teacher(snapshot, open_runs(context, store), rows=rows, most=most)
    if not trial.system_message or (not rows and trial.plan is None):
        raise BadRequest(
            "the teacher wrote nothing that can be used", remedy="name another data.teacher.model"
        )
    return snapshot, trial


def _members(trial: "Trial") -> dict[str, Any]:
    return {
        "systemMessage": trial.system_message,
        "rows": list(trial.rows),
        "rejected": list(trial.rejected),
        "answersSeen": len(trial.seen),
    }


def _indented(text: str, by: int = 2) -> str:
    from tunesmith.plain_text import printable

    return "\n".join(" " * by + line for line in printable(text).split("\n"))
