"""What changes requests on a cluster: `submit`, `suspend`, `resume`, and there `retry` and `rerun`."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import BadRequest, ExitCode, Gone, Usage
from tunesmith_cli.commands.changed import saying
from tunesmith_cli.commands.options import AsChanged, AsJson, Changed, Dry, DryRun, Files, Sets
from tunesmith_cli.commands.place import RequestName, Where, on_cluster
from tunesmith_cli.commands.running import new_id

if TYPE_CHECKING:
    from tunesmith.status import Status
    from tunesmith_cli.cluster.api import Api
    from tunesmith_cli.cluster.foretell import Foretold

Change = Callable[[Mapping[str, Any], "Status"], dict[str, Any] | None]


@on_cluster
def submit(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    files: Files,
    *,
    where: Where,
    sets: Sets = [],  # noqa: B006 - typer takes a list as the default of a repeatable option
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Then show how it goes on, to its end.")
    ] = False,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Check requests and apply them to the cluster (server-side apply). All that is wrong in all of them is said before any is sent.

    Paths in a request stay as they are: they mean places that the cluster can reach. With --watch (one request) the exit code says
    how it ended: 0 complete, 1 failed.
    """
    from tunesmith_cli.cluster.applying import foreseen, found, result, send
    from tunesmith_cli.cluster.manifests import read_manifests

    form = Changed.JSON if as_json else output
    if watch and form is not Changed.TEXT:
        raise Usage("--watch shows text", remedy="follow it with `status NAME -w -o json`")
    manifests = read_manifests(files, sets)
    if watch and (len(manifests) != 1 or dry_run is not Dry.NONE):
        raise BadRequest(
            "--watch follows one request that is really sent", remedy="use `status -w` afterwards"
        )
    api = where.api()
    with saying(form, dry_run) as said:
        for one in manifests:
            namespace = one.namespace(where.namespace, api.namespace)
            before = found(api, namespace, one.request.metadata.name)
            after = (
                foreseen(one, namespace, before)
                if dry_run is Dry.CLIENT
                else send(api, one, namespace, before, _query(dry_run))
            )
            said.add(after, result(before, after))
            if dry_run is not Dry.NONE:
                said.foretell(_foretold(api, before, after))
    if not watch:
        said.next_commands(where)
        return ExitCode.DONE
    from tunesmith_cli.commands.cluster_watch import watch_one

    return watch_one(where, said.done[0]["namespace"], said.done[0]["name"], exit_status=True)


@on_cluster
def suspend(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    name: RequestName,
    *,
    where: Where,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Stop a request for now: a running stage saves its state and ends; `resume` goes on there. Also before it has started."""
    from tunesmith_cli.cluster import acts

    form = Changed.JSON if as_json else output
    return _change(where, name, acts.suspend, "suspended", dry_run, form, already="is suspended already")


@on_cluster
def resume(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    name: RequestName,
    *,
    where: Where,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Go on with a suspended request, with all that was paid and computed."""
    from tunesmith_cli.cluster import acts

    form = Changed.JSON if as_json else output
    return _change(where, name, acts.resume, "resumed", dry_run, form, already="is not suspended")


def retry_there(where: Where, name: str, dry_run: Dry, form: Changed) -> int:
    """`retry` on the cluster."""
    from tunesmith_cli.cluster import acts

    return _change(
        where, name, lambda request, status: acts.retry(request, status, new_id()), "retried", dry_run, form
    )


def rerun_there(where: Where, name: str, stage: "str", identity: str, dry_run: Dry, form: Changed) -> int:
    """`rerun` on the cluster."""
    from tunesmith_cli.cluster import acts

    made = identity or new_id()
    return _change(
        where, name, lambda request, status: acts.rerun(request, status, stage, made), "rerun", dry_run, form
    )


def _change(
    where: Where, name: str, change: Change, done: str, dry_run: Dry, form: Changed, *, already: str = ""
) -> int:
    """Patch a request as `change` says; None from it means that nothing is left to do (`already`)."""
    from tunesmith_cli.cluster.ownership import merged
    from tunesmith_cli.cluster.requests import get, path_of, status_of

    api, namespace = where.api(), where.here()
    with saying(form, dry_run) as said:
        request = get(api, namespace, name)
        patch = change(request, status_of(request))
        if patch is None:
            said.add(request, "unchanged", already)
            return ExitCode.DONE
        after = (
            merged(request, patch)
            if dry_run is Dry.CLIENT
            else api.merge(path_of(namespace, name), patch, _query(dry_run))
        )
        said.add(after, done)
        if dry_run is not Dry.NONE:
            said.member(patch=patch)
            said.line(f"patch: {json.dumps(patch, ensure_ascii=False)}")
            said.foretell(_foretold(api, request, after))
    said.next_commands(where)
    return ExitCode.DONE


def _query(dry_run: Dry) -> list[tuple[str, str]]:
    return [("dryRun", "All")] if dry_run is Dry.SERVER else []


def _foretold(api: "Api", before: Mapping[str, Any], after: Mapping[str, Any]) -> "Foretold":
    """What a change would run. `before`: the request as it is, empty if there is none."""
    from tunesmith.request import parse
    from tunesmith_cli.cluster.data import run_data
    from tunesmith_cli.cluster.foretell import after as changed
    from tunesmith_cli.cluster.foretell import first_run, readable

    try:
        data = run_data(api, before) if before else None
    except Gone as error:
        if error.reason != "NoRun":
            raise
        data = None
    return changed(before, after, data.snapshot, data.profile) if data else first_run(parse(readable(after)))
