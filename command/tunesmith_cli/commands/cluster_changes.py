"""What changes requests on a cluster: `submit`, `suspend`, `resume`, and there also `retry` and `rerun`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import BadRequest, ExitCode, Problem, Usage
from tunesmith_cli.commands.change_report import change_report
from tunesmith_cli.commands.options import AsChanged, AsJson, Changed, Dry, DryRun, Files, Sets
from tunesmith_cli.commands.rerun_id import new_id
from tunesmith_cli.commands.target import RequestName, Target, on_cluster
from tunesmith_cli.commands.terminal import tell_warnings

if TYPE_CHECKING:
    from tunesmith.status import Status
    from tunesmith_cli.cluster.api import Api
    from tunesmith_cli.cluster.manifests import Manifest
    from tunesmith_cli.forecast import Forecast


@on_cluster
def submit(
    context: typer.Context,  # noqa: ARG001 - `target` is made from it
    files: Files,
    *,
    target: Target,
    sets: Sets = [],  # noqa: B006 - typer takes a list as the default of a repeatable option
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Then show how it proceeds, to its end.")
    ] = False,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Check requests and apply them to the cluster (server-side apply). If anything is wrong in one of
    them, it is reported, and none is sent.

    Paths in a request stay as they are: they must be places that the cluster can reach. With --watch (one
    request) the exit code says how it ended: 0 complete, 1 failed.
    """
    from tunesmith_cli.cluster.apply import current, expected, result, send
    from tunesmith_cli.cluster.manifests import read_manifests

    form = Changed.JSON if as_json else output
    if watch and form is not Changed.TEXT:
        raise Usage("--watch shows text", remedy="follow it with `status NAME -w -o json`")
    manifests = read_manifests(files, sets)
    for manifest in manifests:
        tell_warnings(manifest.source, _warnings(manifest))
    if watch and (len(manifests) != 1 or dry_run is not Dry.NONE):
        raise BadRequest(
            "--watch follows one request that is really sent", remedy="use `status -w` afterwards"
        )
    api = target.api()
    with change_report(form, dry_run) as report:
        for manifest in manifests:
            namespace = manifest.namespace(target.given_namespace, api.namespace)
            before = current(api, namespace, manifest.request.metadata.name)
            after = (
                expected(manifest, namespace, before)
                if dry_run is Dry.CLIENT
                else send(api, manifest, namespace, before, _query(dry_run))
            )
            report.add(after, result(before, after))
            if dry_run is not Dry.NONE:
                report.add_forecast(_forecast(api, before, after))
    if not watch:
        report.print_next_commands(target)
        return ExitCode.DONE
    from tunesmith_cli.commands.cluster_watch import watch_one

    [sent] = report.changes
    return watch_one(target, sent["namespace"], sent["name"], exit_status=True)


def _warnings(manifest: "Manifest") -> list[Problem]:
    """What is probably not meant, as far as it can be told without the profile."""
    from tunesmith.request_warnings import warnings_of
    from tunesmith.resolve import resolve

    try:
        spec, _ = resolve(manifest.request, cluster=True)
    except BadRequest:  # with its profile it may be of use after all; the controller says so if it is not
        return []
    return warnings_of(manifest.request, spec)


@on_cluster
def suspend(
    context: typer.Context,  # noqa: ARG001 - `target` is made from it
    name: RequestName,
    *,
    target: Target,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Pause a request: a running stage saves its state and ends, and `resume` continues from there. Works
    before it has started, too.
    """
    from tunesmith_cli.cluster import patches

    act = Act("suspended", patches.suspend, nothing_to_do="is suspended already")
    return _patch(target, name, act, dry_run=dry_run, form=Changed.JSON if as_json else output)


@on_cluster
def resume(
    context: typer.Context,  # noqa: ARG001 - `target` is made from it
    name: RequestName,
    *,
    target: Target,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsChanged = Changed.TEXT,
) -> int:
    """Continue a suspended request, with everything that was paid for and computed."""
    from tunesmith_cli.cluster import patches

    act = Act("resumed", patches.resume, nothing_to_do="is not suspended")
    return _patch(target, name, act, dry_run=dry_run, form=Changed.JSON if as_json else output)


def retry_there(target: Target, name: str, dry_run: Dry, form: Changed) -> int:
    """`retry` on the cluster."""
    from tunesmith_cli.cluster import patches

    act = Act("retried", lambda request, status: patches.retry(request, status, new_id()))
    return _patch(target, name, act, dry_run=dry_run, form=form)


def rerun_there(target: Target, name: str, stage: str, identity: str, *, dry_run: Dry, form: Changed) -> int:
    """`rerun` on the cluster."""
    from tunesmith_cli.cluster import patches

    act = Act("rerun", lambda request, status: patches.rerun(request, status, stage, identity))
    return _patch(target, name, act, dry_run=dry_run, form=form)


@dataclass(frozen=True)
class Act:
    """An act on a request.

    `result`: what was done, in one word; `patch`: of the spec, None if `nothing_to_do`.
    """

    result: str
    patch: Callable[[Mapping[str, Any], "Status"], dict[str, Any] | None]
    nothing_to_do: str = ""


def _patch(target: Target, name: str, act: Act, *, dry_run: Dry, form: Changed) -> int:
    """Patch a request."""
    from tunesmith_cli.cluster.ownership import merged
    from tunesmith_cli.cluster.requests import get, path_of, status_of

    api, namespace = target.api(), target.namespace()
    with change_report(form, dry_run) as report:
        request = get(api, namespace, name)
        patch = act.patch(request, status_of(request))
        if patch is None:
            report.add(request, "unchanged", act.nothing_to_do)
            return ExitCode.DONE
        after = (
            merged(request, patch)
            if dry_run is Dry.CLIENT
            else api.merge(path_of(namespace, name), patch, _query(dry_run))
        )
        report.add(after, act.result)
        if dry_run is not Dry.NONE:
            report.add_members(patch=patch)
            report.print_line(f"patch: {json.dumps(patch, ensure_ascii=False)}")
            report.add_forecast(_forecast(api, request, after))
    report.print_next_commands(target)
    return ExitCode.DONE


def _query(dry_run: Dry) -> list[tuple[str, str]]:
    return [("dryRun", "All")] if dry_run is Dry.SERVER else []


def _forecast(api: "Api", before: Mapping[str, Any], after: Mapping[str, Any]) -> "Forecast":
    """What a change would run. `before`: the request as it is, empty if there is none."""
    from tunesmith.request import parse
    from tunesmith_cli.cluster.forecast import after_change, first_run, without_status
    from tunesmith_cli.cluster.run_data import NoRun, run_data

    if before:
        try:
            data = run_data(api, before)
        except NoRun:
            pass
        else:
            return after_change(before, after, data.snapshot, data.profile)
    return first_run(parse(without_status(after)))
