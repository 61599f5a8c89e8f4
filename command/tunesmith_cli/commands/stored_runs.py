"""The runs of this machine's store, as the commands open them."""

import os
from typing import TYPE_CHECKING

import typer

from tunesmith.errors import BadRequest, Gone
from tunesmith_cli.local.processes import Toolbox

if TYPE_CHECKING:
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.local.store import RunStore


def open_runs(context: typer.Context, store: str) -> "RunStore":
    """The runs of the store that the command line, the environment or the built-in value names."""
    from tunesmith_cli.local.folders import store_url
    from tunesmith_cli.local.store import RunStore

    toolbox = context.obj
    assert isinstance(toolbox, Toolbox)
    return RunStore(store_url(store, os.environ), os.environ, toolbox)


def stored_run(runs: "RunStore", name: str) -> "Snapshot":
    """What a run was last asked to do.

    Raises Gone if there is no such run, Usage if no run can have the name.
    """
    from tunesmith_cli.local.folders import run_folder

    run_folder(runs.url, name, os.environ)
    stored = runs.snapshot(name)
    if stored is None:
        raise Gone(
            f"there is no run {name!r} in {runs.url}",
            reason="NoSuchRun",
            remedy="`tunesmith status` lists the runs of a store",
        )
    return stored


def last_snapshot(runs: "RunStore", run: str) -> "Snapshot | None":
    """What a run was last asked to do; None if there is no such run, or this release cannot read it."""
    try:
        return runs.snapshot(run)
    except BadRequest:
        return None
