"""`delete`: a request on the cluster, and if wanted what its run left in the store."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.options import Dry, DryRun
from tunesmith.cli.place import RequestName, Where, on_cluster
from tunesmith.cli.terminal import tell
from tunesmith.errors import ExitCode, Gone, TryAgain, Usage

if TYPE_CHECKING:
    from tunesmith.cluster.api import Api

_POLL_SECONDS = 0.5
_GONE_SECONDS = 600.0  # a stage may save its state first


@on_cluster
def delete(
    context: typer.Context,
    name: RequestName,
    *,
    where: Where,
    data: Annotated[bool, typer.Option("--data", help="Also remove its run from the store: dataset, adapter, model, report.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    dry_run: DryRun = Dry.NONE,
) -> int:
    """Delete a request with its Jobs and pods, and wait until they are gone. Its run in the store is kept, unless --data is given."""
    from tunesmith.cluster.data import opened, run_data
    from tunesmith.cluster.requests import QUALIFIED, get, path_of, status_of

    api, namespace = where.api(), where.here()
    request = get(api, namespace, name)
    status = status_of(request)
    place = f"{status.store}/{status.run}/" if status.run else ""
    if dry_run is not Dry.NONE:
        if dry_run is Dry.SERVER:
            api.delete(path_of(namespace, name), {"propagationPolicy": "Foreground"}, [("dryRun", "All")])
        print(f"{QUALIFIED}/{name} deleted ({'server ' if dry_run is Dry.SERVER else ''}dry run)")
        print(f"{place or 'no run'} would be {'removed' if data else 'kept'}")
        return ExitCode.DONE
    if data and not place:
        tell(f"{name} has no run in the store")
        data = False
    if data and not yes:
        _ask(f"Remove all of {place} for good?")
    with ExitStack() as stack:
        # Opened before the request goes: its snapshot, which says how to reach the store, goes with it.
        runs = stack.enter_context(opened(api, run_data(api, request), os.environ, context.obj, tell, owned=False)) if data else None
        api.delete(path_of(namespace, name), {"propagationPolicy": "Foreground", "preconditions": {"uid": request["metadata"]["uid"]}})
        _until_gone(api, path_of(namespace, name), request)
        print(f"{QUALIFIED}/{name} deleted", flush=True)
        if runs is not None:
            print(f"{place} removed: {runs.delete(status.run)} objects", flush=True)
    if place and not data:
        tell(f"kept in the store: {place}")
    return ExitCode.DONE


def _until_gone(api: "Api", path: str, request: Mapping[str, Any]) -> None:
    """Until the request is gone, which it is after its Jobs and pods."""
    until = time.monotonic() + _GONE_SECONDS
    told = False
    while time.monotonic() < until:
        try:
            if api.get(path)["metadata"]["uid"] != request["metadata"]["uid"]:
                return
        except Gone:
            return
        if not told and time.monotonic() > until - _GONE_SECONDS + 3:
            told = True
            tell("waiting until its Jobs and pods are gone")
        time.sleep(_POLL_SECONDS)
    raise TryAgain(
        f"{request['metadata']['name']} is marked as deleted, and still there after {_GONE_SECONDS:.0f} s",
        reason="StillThere",
        remedy="see its Jobs and pods, then run the same command again; nothing was removed from the store",
    )


def _ask(question: str) -> None:
    """Raises Usage unless a person says yes."""
    if not sys.stdin.isatty():
        raise Usage(f"{question} There is nobody to ask", reason="NotConfirmed", remedy="give --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Usage("nothing was deleted", reason="NotConfirmed")
