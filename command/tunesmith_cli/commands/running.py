"""`run`, `retry`, `rerun`: whatever makes stages run."""

import contextlib
import json
import os
import secrets
import shlex
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.errors import BadRequest, ExitCode, Gone, Problem, TunesmithError, Usage
from tunesmith.stages import KindName
from tunesmith_cli.commands.options import (
    AsChanged,
    AsJson,
    AsOutput,
    Changed,
    Dry,
    DryRun,
    Files,
    Name,
    Output,
    Sets,
    Store,
    Verbose,
)
from tunesmith_cli.commands.place import Where, either
from tunesmith_cli.local.processes import Toolbox

if TYPE_CHECKING:
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.local.store import RunStore

Only = Annotated[KindName | None, typer.Option(help="Run just this stage; the earlier ones must be done.")]


def run(
    context: typer.Context,
    files: Files,
    *,
    sets: Sets = [],  # noqa: B006 - typer takes a list as the default of a repeatable option
    store: Store = "",
    only: Only = None,
    from_: Annotated[
        KindName | None,
        typer.Option("--from", help="Run this stage and the later ones again, though they are finished."),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--run", metavar="NAME", help="Name of the run in the store. Built-in: the request's name."
        ),
    ] = "",
    dry_run: DryRun = Dry.NONE,
    verbose: Verbose = False,
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Run requests on this machine, to a tuned, merged and tested model.

    Finished stages are reused, and a run that was stopped or killed goes on where it was. After an edit only the stages run
    whose result the edit changes. Several requests, in one file or more, run one after another; the first that fails ends it.
    Ctrl-C stops cleanly, a second one at once. --json prints one line for each request.
    """
    from tunesmith_cli.local.requests import local_snapshot, read_requests
    from tunesmith_cli.local.rerun import keeping_rerun, with_rerun

    asked = read_requests(files, sets)
    if name and len(asked) > 1:
        raise Usage(f"--run names one run, and there are {len(asked)} requests")
    if suspended := [one for one in asked if one.request.spec.suspend]:
        problems = [Problem(one.source, "spec.suspend is true") for one in suspended]
        raise BadRequest(
            "a suspended request does not run",
            remedy="remove suspend, or give --set suspend=false",
            problems=problems,
        )
    runs = open_runs(context, store)
    code: int = ExitCode.DONE
    for one in asked:
        snapshot = local_snapshot(one, os.environ, name)
        before = _last(runs, snapshot.run)
        snapshot = keeping_rerun(snapshot, before)
        if from_ is not None:
            snapshot = with_rerun(snapshot, from_, new_id())
        if _is_dry(dry_run):
            _foretell(runs, snapshot, before, in_json=as_json or output is Output.JSON)
            continue
        code = _execute(
            context, runs, snapshot, before, only, verbose=verbose, in_json=as_json or output is Output.JSON
        )
        if code != ExitCode.DONE:
            break
    return code


@either
def retry(
    context: typer.Context,
    name: Name,
    *,
    where: Where,
    store: Store = "",
    dry_run: DryRun = Dry.NONE,
    verbose: Verbose = False,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Go on with a run by its name: what failed or was stopped gets another attempt, with all that was paid and computed.

    The request is the one that the run was last given; `tunesmith run FILE` does the same with the file as it is now.
    """
    from tunesmith_cli.local.requests import refreshed

    if where.cluster:
        from tunesmith_cli.commands.changing import retry_there

        return retry_there(where, name, dry_run, _form_there(output, as_json=as_json, verbose=verbose))
    in_json = _in_json_here(output, as_json=as_json)
    runs = open_runs(context, store)
    stored = stored_run(runs, name)
    snapshot = refreshed(stored, os.environ)
    if _is_dry(dry_run):
        return _foretell(runs, snapshot, stored, in_json=in_json)
    return _execute(context, runs, snapshot, stored, None, verbose=verbose, in_json=in_json)


@either
def rerun(
    context: typer.Context,
    name: Name,
    from_: Annotated[
        KindName, typer.Option("--from", help="First stage to run again; the later ones follow.")
    ],
    *,
    where: Where,
    identity: Annotated[
        str,
        typer.Option("--id", help="Any string; the same once more runs nothing again. Built-in: the time."),
    ] = "",
    store: Store = "",
    dry_run: DryRun = Dry.NONE,
    verbose: Verbose = False,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Run a stage and all later ones of a run again, though they are finished; earlier ones stay.

    The rerun is written down in the run: a later `tunesmith run` of the same request keeps the new results.
    """
    from tunesmith_cli.local.requests import refreshed
    from tunesmith_cli.local.rerun import with_rerun

    if where.cluster:
        from tunesmith_cli.commands.changing import rerun_there

        return rerun_there(
            where, name, from_, identity, dry_run, _form_there(output, as_json=as_json, verbose=verbose)
        )
    in_json = _in_json_here(output, as_json=as_json)
    runs = open_runs(context, store)
    stored = stored_run(runs, name)
    snapshot = with_rerun(refreshed(stored, os.environ), from_, identity or new_id())
    if _is_dry(dry_run):
        return _foretell(runs, snapshot, stored, in_json=in_json)
    return _execute(context, runs, snapshot, stored, None, verbose=verbose, in_json=in_json)


def _is_dry(dry_run: Dry) -> bool:
    """Raises Usage for a server's dry run: there is none here."""
    if dry_run is Dry.SERVER:
        raise Usage(
            "--dry-run=server needs a cluster, and this machine's store is meant",
            remedy="leave out `=server`",
        )
    return dry_run is Dry.CLIENT


def _form_there(output: Changed, *, as_json: bool, verbose: bool) -> Changed:
    """The form on a cluster. Raises Usage for what only a run in this process can show."""
    if verbose:
        raise Usage("--verbose shows a run on this machine", remedy="on the cluster: `logs NAME -f`")
    return Changed.JSON if as_json else output


def _in_json_here(output: Changed, *, as_json: bool) -> bool:
    """Whether the result of a run in this process is wanted as JSON. Raises Usage for what only a cluster's request has."""
    if output in (Changed.NAME, Changed.YAML):
        raise Usage(
            f"-o {output} shows what was changed on a cluster, and this machine's store is meant",
            remedy="use -o json",
        )
    return as_json or output is Changed.JSON


def stored_run(runs: "RunStore", name: str) -> "Snapshot":
    """What a run was last asked to do. Raises Gone if there is no such run."""
    from tunesmith_cli.local.places import run_place

    run_place(runs.url, name, os.environ)  # says so if it is no name
    stored = runs.snapshot(name)
    if stored is None:
        raise Gone(
            f"there is no run {name!r} in {runs.url}",
            reason="NoSuchRun",
            remedy="`tunesmith status` lists the runs of a store",
        )
    return stored


def open_runs(context: typer.Context, store: str) -> "RunStore":
    """The runs of the store that the command line, the environment or the built-in value names."""
    from tunesmith_cli.local.places import store_url
    from tunesmith_cli.local.store import RunStore

    toolbox = context.obj
    assert isinstance(toolbox, Toolbox)
    return RunStore(store_url(store, os.environ), os.environ, toolbox)


def _last(runs: "RunStore", run: str) -> "Snapshot | None":
    """What the run was last asked to do, if this release can read it."""
    try:
        return runs.snapshot(run)
    except BadRequest:
        return None


def new_id() -> str:
    """A string that has not been there: the time (UTC), and a draw for those of the same second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _foretell(runs: "RunStore", snapshot: "Snapshot", before: "Snapshot | None", *, in_json: bool) -> int:
    """Say what a run would do; nothing is written."""
    from tunesmith.changes import changes
    from tunesmith_cli.commands.terminal import table

    done = runs.manifests(snapshot)
    edits = changes(before, snapshot) if before else []
    if in_json:
        stages = [
            {"name": entry.name, "key": entry.key, "would": "reuse" if entry.name in done else "run"}
            for entry in snapshot.stages
        ]
        moved = [
            {"path": edit.path, "before": edit.before, "after": edit.after, "stage": edit.stage}
            for edit in edits
        ]
        print(
            json.dumps(
                {"format": 1, "run": snapshot.run, "stages": stages, "changes": moved}, ensure_ascii=False
            )
        )
        return ExitCode.DONE
    print(f"run {snapshot.run} in {runs.url}")
    print("\n".join(f"changed: {edit}" for edit in edits) + "\n" * bool(edits), end="")
    rows = [(entry.name, entry.key, "reuse" if entry.name in done else "run") for entry in snapshot.stages]
    print(table([("STAGE", "KEY", "WOULD"), *rows]))
    return ExitCode.DONE


def _execute(
    context: typer.Context,
    runs: "RunStore",
    snapshot: "Snapshot",
    before: "Snapshot | None",
    only: KindName | None,
    *,
    verbose: bool,
    in_json: bool,
) -> int:
    """Run one snapshot, show it, and print its result (as JSON: one line); the exit code."""
    from tunesmith_cli.commands.screen import screen
    from tunesmith_cli.commands.summary import print_summary, result_json
    from tunesmith_cli.commands.terminal import own_command
    from tunesmith_cli.local.follow import run_or_follow
    from tunesmith_cli.local.places import run_place
    from tunesmith_cli.local.runner import Runner

    place = run_place(runs.url, snapshot.run, os.environ)
    with screen(verbose=verbose) as shown:
        runner = Runner(snapshot, before, runs, place, os.environ, context.obj, shown)
        end = run_or_follow(runner, only or None)
    if runner.followed:
        with contextlib.suppress(TunesmithError):  # how it ended counts more
            runner.done = runs.manifests(snapshot)
    if end.exit_code in (ExitCode.INTERRUPTED, ExitCode.STOPPED):
        print(f"Go on with: {own_command()} {shlex.join(sys.argv[1:])}", file=sys.stderr)
    if in_json:
        print(json.dumps(result_json(runs, snapshot, runner.done, end, runner.reused), ensure_ascii=False))
    elif end.well or end.reason == "GateNotPassed":
        print_summary(runs, snapshot, runner.done, end)
    return end.exit_code
