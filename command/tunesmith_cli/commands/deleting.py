"""`delete`: a request on the cluster, and if wanted what its run left in the store."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import ExitCode, Gone, TryAgain, Usage
from tunesmith_cli.commands.changed import Saying, saying
from tunesmith_cli.commands.options import AsChanged, AsJson, Changed, Dry, DryRun
from tunesmith_cli.commands.place import RequestName, Where, on_cluster
from tunesmith_cli.commands.terminal import tell

if TYPE_CHECKING:
    from tunesmith.status import Status
    from tunesmith_cli.cluster.api import Api
    from tunesmith_cli.local.processes import Toolbox

_POLL_SECONDS = 0.5
_QUIET_SECONDS = 3.0
_KEEP_SECONDS = 60.0  # a session that nobody asks ends by itself
_GONE_SECONDS = 600.0  # a stage may save its state first


@on_cluster
def delete(
    context: typer.Context,
    name: RequestName,
    *,
    where: Where,
    data: Annotated[
        bool,
        typer.Option("--data", help="Also remove its run from the store: dataset, adapter, model, report."),
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Delete a request with its Jobs and pods, and wait until they are gone. Its run in the store is kept, unless --data is given.

    A run that another request has too is not removed.
    """
    with saying(Changed.JSON if as_json else output, dry_run) as said:
        return _act(context, where, name, said, data=data, yes=yes)


def _act(context: typer.Context, where: Where, name: str, said: Saying, *, data: bool, yes: bool) -> int:
    from tunesmith_cli.cluster.requests import get, path_of, status_of

    api, namespace, dry_run = where.api(), where.here(), said.dry_run
    request = get(api, namespace, name)
    status = status_of(request)
    place = f"{status.store}/{status.run}/" if status.run else ""
    if data and place:
        _refuse_shared(api, request, status)
    if dry_run is not Dry.NONE:
        if dry_run is Dry.SERVER:
            api.delete(path_of(namespace, name), {"propagationPolicy": "Foreground"}, [("dryRun", "All")])
        said.add(request, "deleted", run=place, removed=None)
        said.line(f"{place or 'no run'} would be {'removed' if data else 'kept'}")
        return ExitCode.DONE
    if data and not place:
        if status.observed_generation != request["metadata"].get("generation", 0):
            raise TryAgain(
                f"the controller has not seen {name} yet, so nobody knows whether it has a run",
                reason="NotSeen",
                remedy="run the same command again in a moment, or without --data",
            )
        tell(f"{name} has no run in the store")
    if not (data and place):
        _delete(api, request, said, place)
        if place:
            tell(f"kept in the store: {place}")
        return ExitCode.DONE
    if not yes:
        _ask(f"Remove all of {place} for good?")
    _delete_with_data(where, request, status, context.obj, said)
    return ExitCode.DONE


def _delete_with_data(
    where: Where, request: Mapping[str, Any], status: "Status", toolbox: "Toolbox", said: Saying
) -> None:
    """The request, then its run."""
    from tunesmith_cli.cluster.data import opened, run_data

    api = where.api()
    place = f"{status.store}/{status.run}/"
    with ExitStack() as stack:
        # Read and opened before the request goes: its snapshot, which says how to reach the store, goes with it.
        data = run_data(api, request)
        runs = stack.enter_context(opened(api, data, os.environ, toolbox, tell, owned=False))
        stack.enter_context(_what_is_left(where, request, status))
        grace = max(pod.termination_grace_period_seconds for _, pod in data.profile.pods)
        _delete(api, request, said, place, grace, runs.trouble)
        _refuse_shared(api, request, status)
        if runs.trouble():  # its pod was evicted meanwhile, perhaps
            runs = stack.enter_context(opened(api, data, os.environ, toolbox, tell, owned=False))
        said.member(removed=runs.delete(status.run))
        said.line(f"{place} removed: {said.done[-1]['removed']} objects")


@contextmanager
def _what_is_left(where: Where, request: Mapping[str, Any], status: "Status") -> Iterator[None]:
    """Whatever ends the block before the run is removed: it is said what remains, and how it can be removed then."""
    try:
        yield
    except Usage:
        raise  # it is somebody else's too
    except BaseException:
        name, namespace = request["metadata"]["name"], request["metadata"]["namespace"]
        again = where.command(
            "submit", "FILE", "--set", f"run={status.run}", "--set", "suspend=true", namespace=namespace
        )
        tell(
            f"not removed from the store: {status.store}/{status.run}/\n"
            f"While {name} is there, the same command removes it. Once it is gone, its FILE takes up the run, suspended, to remove it:\n"
            f"  {again}\n"
            f"  {where.command('delete', name, '--data', namespace=namespace)}"
        )
        raise


def _refuse_shared(api: "Api", request: Mapping[str, Any], status: "Status") -> None:
    """Raises Usage if another request has the same run."""
    from tunesmith_cli.cluster.requests import collection, users_of_run

    metadata = request["metadata"]
    items = api.get(collection(metadata["namespace"])).get("items") or ()
    if others := users_of_run(items, status.run, status.store, metadata["uid"]):
        raise Usage(
            f"{status.store}/{status.run}/ is not removed: it is the run of {', '.join(others)} too",
            reason="RunShared",
            remedy=f"without --data {metadata['name']} alone is deleted; the run goes with the last request that has it",
        )


def _delete(
    api: "Api",
    request: Mapping[str, Any],
    said: Saying,
    place: str,
    grace: float = 0.0,
    keep: Callable[[], object] = lambda: None,
) -> None:
    """Delete a request, and wait until it is gone, which it is after its Jobs and pods. `grace`: seconds that a pod may take to end;
    `keep`: called now and then meanwhile.
    """
    from tunesmith_cli.cluster.requests import path_of

    metadata = request["metadata"]
    path = path_of(metadata["namespace"], metadata["name"])
    with suppress(Gone):  # somebody else was quicker
        api.delete(path, {"propagationPolicy": "Foreground", "preconditions": {"uid": metadata["uid"]}})
    began = kept = time.monotonic()
    told = False
    while not _is_gone(api, path, metadata["uid"]):
        now = time.monotonic()
        if not told and now > began + _QUIET_SECONDS:
            told = True
            tell("waiting until its Jobs and pods are gone")
        if now > kept + _KEEP_SECONDS:
            kept = now
            keep()
        if now > began + _GONE_SECONDS + grace:
            raise TryAgain(
                f"{metadata['name']} is marked as deleted, and still there after {now - began:.0f} s",
                reason="StillThere",
                remedy="see its Jobs and pods, then run the same command again; nothing was removed from the store",
            )
        time.sleep(_POLL_SECONDS)
    said.add(request, "deleted", run=place, removed=None)


def _is_gone(api: "Api", path: str, uid: str) -> bool:
    """Whether a request is gone, or another one has its name. A server that is away does not say so."""
    try:
        return bool(api.get(path)["metadata"]["uid"] != uid)
    except Gone:
        return True
    except TryAgain:
        return False


def _ask(question: str) -> None:
    """Raises Usage unless a person says yes."""
    if not sys.stdin.isatty():
        raise Usage(f"{question} There is nobody to ask", reason="NotConfirmed", remedy="give --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Usage("nothing was deleted", reason="NotConfirmed")
