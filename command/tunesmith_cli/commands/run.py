"""`run`, `retry`, `rerun`: the commands that run stages on this machine. `retry` and `rerun` know a cluster,
too.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.errors import BadRequest, ExitCode, Problem, TunesmithError, Usage
from tunesmith.stages import KindName
from tunesmith.wire import GATE_NOT_PASSED
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
from tunesmith_cli.commands.rerun_id import new_id
from tunesmith_cli.commands.stored_runs import last_snapshot, open_runs, stored_run
from tunesmith_cli.commands.target import Target, either
from tunesmith_cli.commands.terminal import say, say_json, tell, tell_warnings

if TYPE_CHECKING:
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.local.processes import Toolbox
    from tunesmith_cli.local.request_files import LoadedRequest
    from tunesmith_cli.local.store import RunStore

Yes = Annotated[
    bool, typer.Option("--yes", help="Start even if the budget cannot be enough, and do not ask.")
]
Only = Annotated[KindName | None, typer.Option(help="Run just this stage; the earlier ones must be done.")]


@dataclass(frozen=True)
class _Session:
    """One command: the runs that it works on, and how it shows what it does."""

    runs: "RunStore"
    toolbox: "Toolbox"
    dry: bool
    verbose: bool
    in_json: bool
    over_budget: bool = False


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
    yes: Yes = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Run requests on this machine, to a tuned, merged and tested model.

    Finished stages are reused, and a run that was stopped or killed continues where it was. After an edit
    only those stages run whose result it changes. Several requests, in one file or more, run one after
    another until one fails. Ctrl-C stops cleanly; a second one stops at once. --json prints one line for each
    request.
    """
    from tunesmith_cli.local.request_files import local_snapshot, read_requests
    from tunesmith_cli.local.request_warnings import warnings_of
    from tunesmith_cli.local.rerun import keeping_rerun, with_rerun

    requests = read_requests(files, sets)
    if name and len(requests) > 1:
        raise Usage(f"--run names one run, and there are {len(requests)} requests")
    _refuse_suspended(requests)
    session = _Session(
        open_runs(context, store),
        context.obj,
        dry=_is_dry(dry_run),
        verbose=verbose,
        in_json=as_json or output is Output.JSON,
        over_budget=yes,
    )
    code: int = ExitCode.DONE
    for request in requests:
        snapshot = local_snapshot(request, os.environ, name)
        tell_warnings(request.source, warnings_of(request, snapshot.spec, here=True))
        before = last_snapshot(session.runs, snapshot.run)
        snapshot = keeping_rerun(snapshot, before)
        if from_ is not None:
            snapshot = with_rerun(snapshot, from_, new_id())
        code = _run_or_forecast(session, snapshot, before, only)
        if code != ExitCode.DONE:
            break
    return code


@either
def retry(
    context: typer.Context,
    name: Name,
    *,
    target: Target,
    store: Store = "",
    dry_run: DryRun = Dry.NONE,
    yes: Yes = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Continue a run by its name: what failed or was stopped gets another attempt, and keeps what was paid
    for and computed.

    The request is the one that the run was last given; `tunesmith run FILE` does the same with the file as it
    is now.
    """
    from tunesmith_cli.local.request_files import refreshed

    if target.cluster:
        from tunesmith_cli.commands.cluster_changes import retry_there

        return retry_there(target, name, dry_run, _form_there(output, as_json=as_json, verbose=verbose))
    in_json = _in_json_here(output, as_json=as_json)
    runs = open_runs(context, store)
    session = _Session(
        runs, context.obj, dry=_is_dry(dry_run), verbose=verbose, in_json=in_json, over_budget=yes
    )
    stored = stored_run(runs, name)
    return _run_or_forecast(session, refreshed(stored, os.environ), stored)


@either
def rerun(
    context: typer.Context,
    name: Name,
    from_: Annotated[
        KindName, typer.Option("--from", help="First stage to run again; the later ones follow.")
    ],
    *,
    target: Target,
    identity: Annotated[
        str,
        typer.Option("--id", help="Any string; the same one again runs nothing. Built-in: the time."),
    ] = "",
    store: Store = "",
    dry_run: DryRun = Dry.NONE,
    yes: Yes = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Run a stage and all later ones of a run again, though they are finished; earlier ones stay.

    The rerun is written down in the run: a later `tunesmith run` of the same request keeps the new results.
    """
    from tunesmith_cli.local.request_files import refreshed
    from tunesmith_cli.local.rerun import with_rerun

    identity = identity or new_id()
    if target.cluster:
        from tunesmith_cli.commands.cluster_changes import rerun_there

        form = _form_there(output, as_json=as_json, verbose=verbose)
        return rerun_there(target, name, from_, identity, dry_run=dry_run, form=form)
    in_json = _in_json_here(output, as_json=as_json)
    runs = open_runs(context, store)
    session = _Session(
        runs, context.obj, dry=_is_dry(dry_run), verbose=verbose, in_json=in_json, over_budget=yes
    )
    stored = stored_run(runs, name)
    return _run_or_forecast(session, with_rerun(refreshed(stored, os.environ), from_, identity), stored)


def _refuse_suspended(requests: "Sequence[LoadedRequest]") -> None:
    """Raises BadRequest for requests that are not to run for now."""
    problems = [
        Problem(request.source, "spec.suspend is true")
        for request in requests
        if request.request.spec.suspend
    ]
    if problems:
        raise BadRequest(
            "a suspended request does not run",
            remedy="remove suspend, or give --set suspend=false",
            problems=problems,
        )


def _is_dry(dry_run: Dry) -> bool:
    """Whether nothing is to run. Raises Usage for a server's dry run, which only a cluster has."""
    if dry_run is Dry.SERVER:
        raise Usage(
            "--dry-run=server needs a cluster, and the command is about this machine's store",
            remedy="leave out `=server`",
        )
    return dry_run is Dry.CLIENT


def _form_there(output: Changed, *, as_json: bool, verbose: bool) -> Changed:
    """The form on a cluster. Raises Usage for what only a run on this machine can show."""
    if verbose:
        raise Usage("--verbose shows a run on this machine", remedy="on the cluster: `logs NAME -f`")
    return Changed.JSON if as_json else output


def _in_json_here(output: Changed, *, as_json: bool) -> bool:
    """Whether the result of a run on this machine is wanted as JSON.

    Raises Usage for forms that only a cluster's request has.
    """
    if output in (Changed.NAME, Changed.YAML):
        raise Usage(
            f"-o {output} shows what was changed on a cluster, and the command is about this machine's store",
            remedy="use -o json",
        )
    return as_json or output is Changed.JSON


def _run_or_forecast(
    session: _Session, snapshot: "Snapshot", before: "Snapshot | None", only: KindName | None = None
) -> int:
    """Run a snapshot, or in a dry run say what that would do; the exit code."""
    if session.dry:
        return _forecast(session, snapshot, before)
    if only in (None, "generate") and not session.over_budget and _wants_it(session, snapshot):
        session = replace(session, over_budget=True)
    return _execute(session, snapshot, before, only)


def _wants_it(session: _Session, snapshot: "Snapshot") -> bool:
    """Whether a person at the terminal starts a run though its budget cannot be enough.

    Nobody is asked about a budget that can be, or about rows that are there. Raises typer.Abort for Ctrl-C.
    """
    from tunesmith_cli.local.runner import refused_limits

    problems = refused_limits(snapshot)
    if not problems or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    if "generate" in session.runs.manifests(snapshot):
        return False
    for problem in problems:
        tell(str(problem))
    return typer.confirm("The budget cannot be enough. Start all the same?", default=False, err=True)


def _forecast(session: _Session, snapshot: "Snapshot", before: "Snapshot | None") -> int:
    """Say what a run would do; nothing is written."""
    from tunesmith.changes import changes
    from tunesmith_cli.commands.forecast_output import members, text
    from tunesmith_cli.forecast import Forecast, StageForecast
    from tunesmith_cli.local.runner import estimate_of

    done = session.runs.manifests(snapshot)
    forecast = Forecast(
        tuple(
            StageForecast(entry.name, entry.key, "reuse" if entry.name in done else "run")
            for entry in snapshot.stages
        ),
        tuple(changes(before, snapshot)) if before else (),
    )
    if session.in_json:
        document = {"format": 1, "run": snapshot.run, **members(forecast)}
        say_json(document, indent=None)
        return ExitCode.DONE
    say(f"run {snapshot.run} in {session.runs.url}\n{text(forecast)}")
    if "generate" not in done:
        for line in estimate_of(snapshot):
            say(line)
    return ExitCode.DONE


def _execute(
    session: _Session, snapshot: "Snapshot", before: "Snapshot | None", only: KindName | None
) -> int:
    """Run a snapshot, show it, and print its result (as JSON: one line); the exit code."""
    from tunesmith_cli.commands.screen import screen
    from tunesmith_cli.commands.summary import print_summary, result_json
    from tunesmith_cli.commands.terminal import own_command
    from tunesmith_cli.local.folders import run_folder
    from tunesmith_cli.local.follow import run_or_follow
    from tunesmith_cli.local.runner import Runner

    runs = session.runs
    folder = run_folder(runs.url, snapshot.run, os.environ)
    with screen(verbose=session.verbose) as show:
        runner = Runner(
            snapshot=snapshot,
            before=before,
            store=runs,
            folder=folder,
            environ=os.environ,
            toolbox=session.toolbox,
            tell=show,
            over_budget=session.over_budget,
        )
        end = run_or_follow(runner, only)
    if runner.followed:
        with contextlib.suppress(TunesmithError):  # how it ended counts more
            runner.done = runs.manifests(snapshot)
    if end.exit_code in (ExitCode.INTERRUPTED, ExitCode.STOPPED):
        tell(f"Continue with: {own_command()} {shlex.join(sys.argv[1:])}")
    if session.in_json:
        say_json(result_json(runs, snapshot, runner.done, end, runner.reused), indent=None)
    elif end.well or end.reason == GATE_NOT_PASSED:
        print_summary(runs, snapshot, runner.done, end)
    return end.exit_code
