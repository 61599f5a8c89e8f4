"""`delete`: a request on the cluster, and if wanted what its run left in the store."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import ExitCode, Gone, TryAgain, Usage
from tunesmith_cli.commands.change_report import ChangeReport, change_report
from tunesmith_cli.commands.options import AsChanged, AsJson, Changed, Dry, DryRun
from tunesmith_cli.commands.target import RequestName, Target, on_cluster
from tunesmith_cli.commands.terminal import tell

if TYPE_CHECKING:
    from tunesmith.status import Status
    from tunesmith_cli.cluster.api import Api
    from tunesmith_cli.local.processes import Toolbox


@dataclass
class Timing:
    """Seconds, and the clock that they are counted by; tests give others."""

    poll: float = 0.5
    quiet: float = 3.0  # before it is said what is waited for
    keep: float = 60.0  # between two questions to a session, which ends by itself when nobody asks
    gone: float = 600.0  # a stage may save its state first
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


TIMING = Timing()


@dataclass(frozen=True)
class _Deletion:
    """A request that is to be deleted, and how that is reported.

    `run`: the URL of its run, empty if it has none.
    """

    target: Target
    api: "Api"
    request: Mapping[str, Any]
    status: "Status"
    report: ChangeReport

    @property
    def name(self) -> str:
        return str(self.request["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.request["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        return str(self.request["metadata"]["uid"])

    @property
    def run(self) -> str:
        return f"{self.status.store}/{self.status.run}/" if self.status.run else ""


@on_cluster
def delete(
    context: typer.Context,
    name: RequestName,
    *,
    target: Target,
    data: Annotated[
        bool,
        typer.Option("--data", help="Also remove its run from the store: dataset, adapter, model, report."),
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Delete a request with its Jobs and pods, and wait until they are gone. Its run in the store is kept,
    unless --data is given.

    A run that another request has too is not removed.
    """
    from tunesmith_cli.cluster.requests import get, status_of

    with change_report(Changed.JSON if as_json else output, dry_run) as report:
        request = get(target.api(), target.namespace(), name)
        deletion = _Deletion(target, target.api(), request, status_of(request), report)
        if data and deletion.run:
            _refuse_shared(deletion)
        if dry_run is not Dry.NONE:
            _try(deletion, data=data)
            return ExitCode.DONE
        if data and not deletion.run:
            _refuse_unseen(deletion)
            tell(f"{name} has no run in the store")
        if data and deletion.run:
            if not yes:
                _ask(f"Remove all of {deletion.run} for good?")
            _delete_with_run(deletion, context.obj)
            return ExitCode.DONE
        _delete(deletion)
        if deletion.run:
            tell(f"kept in the store: {deletion.run}")
    return ExitCode.DONE


def _try(deletion: _Deletion, *, data: bool) -> None:
    """A dry run: say what would be deleted."""
    from tunesmith_cli.cluster.requests import path_of

    if deletion.report.dry_run is Dry.SERVER:
        path = path_of(deletion.namespace, deletion.name)
        deletion.api.delete(path, {"propagationPolicy": "Foreground"}, [("dryRun", "All")])
    deletion.report.add(deletion.request, "deleted", run=deletion.run, removed=None)
    deletion.report.print_line(f"{deletion.run or 'no run'} would be {'removed' if data else 'kept'}")


def _refuse_unseen(deletion: _Deletion) -> None:
    """Raises TryAgain while the controller has not seen the request: it may have a run that the status does
    not name yet.
    """
    if deletion.status.observed_generation != deletion.request["metadata"].get("generation", 0):
        raise TryAgain(
            f"the controller has not seen {deletion.name} yet, so it is not known whether it has a run",
            reason="NotSeen",
            remedy="run the same command again in a moment, or without --data",
        )


def _refuse_shared(deletion: _Deletion) -> None:
    """Raises Usage if another request has the same run."""
    from tunesmith_cli.cluster.requests import collection, users_of_run

    status = deletion.status
    requests = deletion.api.get(collection(deletion.namespace)).get("items") or ()
    if others := users_of_run(requests, status.run, status.store, deletion.uid):
        raise Usage(
            f"{deletion.run} is not removed: it is the run of {', '.join(others)} too",
            reason="RunShared",
            remedy=(
                f"without --data {deletion.name} alone is deleted; "
                "the run goes with the last request that has it"
            ),
        )


def _delete_with_run(deletion: _Deletion, toolbox: "Toolbox") -> None:
    """Delete the request, then remove its run."""
    from tunesmith_cli.cluster.run_data import run_data
    from tunesmith_cli.cluster.runs import opened

    with ExitStack() as stack:
        # Opened before the request goes: its snapshot, which says how to reach the store, goes with it.
        data = run_data(deletion.api, deletion.request)
        way = (deletion.api, data, os.environ, toolbox, tell)
        runs = stack.enter_context(opened(*way, owned=False))
        stack.enter_context(_say_what_is_left(deletion))
        grace = max(pod.termination_grace_period_seconds for _, pod in data.profile.pods)
        _delete(deletion, grace=grace, keep_session=runs.trouble)
        _refuse_shared(deletion)
        if runs.trouble():  # its pod may have been evicted meanwhile
            runs = stack.enter_context(opened(*way, owned=False))
        removed = runs.delete(deletion.status.run)
        deletion.report.add_members(removed=removed)
        deletion.report.print_line(f"{deletion.run} removed: {removed} objects")


@contextmanager
def _say_what_is_left(deletion: _Deletion) -> Iterator[None]:
    """Where something ends the block before the run is removed, say what remains, and how it can be removed
    then.
    """
    try:
        yield
    except Usage:
        raise  # another request has the run, too
    except BaseException:
        name, namespace = deletion.name, deletion.namespace
        take_up = ("submit", "FILE", "--set", f"run={deletion.status.run}", "--set", "suspend=true")
        tell(
            f"not removed from the store: {deletion.run}\n"
            f"While {name} exists, the same command removes it. Once {name} is gone, submit its FILE again, "
            "suspended, so that it takes up the run, and delete it:\n"
            f"  {deletion.target.command(*take_up, namespace=namespace)}\n"
            f"  {deletion.target.command('delete', name, '--data', namespace=namespace)}"
        )
        raise


def _delete(
    deletion: _Deletion, *, grace: float = 0.0, keep_session: Callable[[], object] = lambda: None
) -> None:
    """Delete the request, and wait until it is gone, which it is after its Jobs and pods.

    `grace`: seconds that a pod may take to end; `keep_session`: called now and then meanwhile.
    """
    from tunesmith_cli.cluster.requests import path_of

    path = path_of(deletion.namespace, deletion.name)
    with suppress(Gone):  # somebody else was quicker
        preconditions = {"uid": deletion.uid}
        deletion.api.delete(path, {"propagationPolicy": "Foreground", "preconditions": preconditions})
    began = asked = TIMING.now()
    told = False
    while not _is_gone(deletion, path):
        now = TIMING.now()
        if not told and now > began + TIMING.quiet:
            told = True
            tell("waiting until its Jobs and pods are gone")
        if now > asked + TIMING.keep:
            asked = now
            keep_session()
        if now > began + TIMING.gone + grace:
            raise TryAgain(
                f"{deletion.name} is marked as deleted, and still there after {now - began:.0f} s",
                reason="StillThere",
                remedy=(
                    "see its Jobs and pods, then run the same command again; "
                    "nothing was removed from the store"
                ),
            )
        TIMING.sleep(TIMING.poll)
    deletion.report.add(deletion.request, "deleted", run=deletion.run, removed=None)


def _is_gone(deletion: _Deletion, path: str) -> bool:
    """Whether the request is gone, or another one has its name. A server that is away does not tell."""
    try:
        return bool(deletion.api.get(path)["metadata"]["uid"] != deletion.uid)
    except Gone:
        return True
    except TryAgain:
        return False


def _ask(question: str) -> None:
    """Raises Usage unless a person says yes."""
    if not sys.stdin.isatty():
        raise Usage(f"{question} There is nobody to ask", reason="NotConfirmed", remedy="give --yes")
    tell(f"{question} [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Usage("nothing was deleted", reason="NotConfirmed")
