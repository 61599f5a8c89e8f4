"""What changes requests on a cluster: `submit`, `suspend`, `resume`, and there `retry` and `rerun`."""

import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.options import AsJson, AsOutput, Dry, DryRun, Files, Output, Sets
from tunesmith.cli.place import RequestName, Where, on_cluster
from tunesmith.errors import BadRequest, ExitCode, Gone, TunesmithError

if TYPE_CHECKING:
    from tunesmith.cluster.api import Api
    from tunesmith.cluster.foretell import Foretold
    from tunesmith.cluster.manifests import Manifest
    from tunesmith.settings import StageName
    from tunesmith.status import Status

Change = Callable[[Mapping[str, Any], "Status"], dict[str, Any] | None]


@on_cluster
def submit(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    files: Files,
    *,
    where: Where,
    sets: Sets = [],  # noqa: B006 - typer takes a list as the default of a repeatable option
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Then show how it goes on, to its end.")] = False,
    dry_run: DryRun = Dry.NONE,
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Check requests and apply them to the cluster (server-side apply). All that is wrong in all of them is said before any is sent.

    Paths in a request stay as they are: they mean places that the cluster can reach. With --watch (one request) the exit code says
    how it ended: 0 complete, 1 failed.
    """
    from tunesmith.cluster.manifests import read_manifests

    manifests = read_manifests(files, sets)
    if watch and (len(manifests) != 1 or dry_run is not Dry.NONE):
        raise BadRequest("--watch follows one request that is really sent", remedy="use `status -w` afterwards")
    api = where.api()
    in_json = as_json or output is Output.JSON
    done = []
    for one in manifests:
        namespace = one.namespace(where.namespace, api.namespace)
        result, answer = _sent(api, one, namespace, dry_run)
        name = one.request.metadata.name
        done.append({"name": name, "namespace": namespace, "result": result, "uid": answer["metadata"].get("uid", "")})
        if not in_json:
            _say_changed(name, result, dry_run)
        if dry_run is not Dry.NONE and not in_json:
            _print_foretold(_foretold(api, one, namespace))
    if in_json:
        print(json.dumps({"format": 1, "dryRun": dry_run.value, "requests": done}, ensure_ascii=False))
    if dry_run is Dry.NONE and not watch:
        for entry in done:
            _next(where, entry["name"], entry["namespace"])
    if not watch:
        return ExitCode.DONE
    from tunesmith.cli.cluster_watch import watch_one

    return watch_one(where, done[0]["namespace"], done[0]["name"], exit_status=True)


def _sent(api: "Api", manifest: "Manifest", namespace: str, dry_run: Dry) -> tuple[str, dict[str, Any]]:
    """`created`, `configured` or `unchanged`, and the request as the API server has it."""
    from tunesmith.cluster.api import absent
    from tunesmith.cluster.faults import Conflict
    from tunesmith.cluster.requests import path_of

    name = manifest.request.metadata.name
    document = {**manifest.document, "metadata": {**manifest.document["metadata"], "namespace": namespace}}
    before: dict[str, Any] = {}
    try:
        before = api.get(path_of(namespace, name))
    except Gone as error:
        if not absent(error):
            raise
    if dry_run is Dry.CLIENT:
        return "configured" if before else "created", document
    try:
        after = api.apply(
            path_of(namespace, name),
            document,
            [("fieldValidation", "Strict"), *([("dryRun", "All")] if dry_run is Dry.SERVER else [])],
        )
    except Conflict as error:
        raise Conflict(
            f"{manifest.source}: somebody else set these fields of {name}",
            problems=error.problems,
            remedy="change them there, or take them over: "
            f"kubectl apply --server-side --force-conflicts -n {namespace} -f {manifest.source}",
        ) from error
    if not before:
        return "created", after
    same = before["spec"] == after["spec"] if dry_run is Dry.SERVER else _version(before) == _version(after)
    return "unchanged" if same else "configured", after


def _version(request: Mapping[str, Any]) -> tuple[str, int]:
    return request["metadata"]["uid"], request["metadata"]["generation"]


@on_cluster
def suspend(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    name: RequestName,
    *,
    where: Where,
    dry_run: DryRun = Dry.NONE,
) -> int:
    """Stop a request for now: a running stage saves its state and ends; `resume` goes on there. Also before it has started."""
    from tunesmith.cluster import acts

    return _change(where, name, acts.suspend, "suspended", dry_run)


@on_cluster
def resume(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    name: RequestName,
    *,
    where: Where,
    dry_run: DryRun = Dry.NONE,
) -> int:
    """Go on with a suspended request, with all that was paid and computed."""
    from tunesmith.cluster import acts

    return _change(where, name, acts.resume, "resumed", dry_run)


def retry_there(where: Where, name: str, dry_run: Dry) -> int:
    """`retry` on the cluster."""
    from tunesmith.cluster import acts

    return _change(where, name, lambda request, status: acts.retry(request, status, new_id()), "retried", dry_run)


def rerun_there(where: Where, name: str, stage: "StageName", identity: str, dry_run: Dry) -> int:
    """`rerun` on the cluster."""
    from tunesmith.cluster import acts

    made = identity or new_id()
    return _change(where, name, lambda request, status: acts.rerun(request, status, stage, made), "rerun", dry_run)


def new_id() -> str:
    """A string that has not been there: the time (UTC)."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}"


def _change(where: Where, name: str, change: Change, done: str, dry_run: Dry) -> int:
    """Patch a request as `change` says; None from it means that nothing is left to do."""
    from tunesmith.cluster.data import run_data
    from tunesmith.cluster.foretell import after, merged
    from tunesmith.cluster.requests import get, path_of, status_of

    api, namespace = where.api(), where.here()
    request = get(api, namespace, name)
    patch = change(request, status_of(request))
    if patch is None:
        _say_changed(name, f"is {done} already" if done == "suspended" else "is not suspended", Dry.NONE)
        return ExitCode.DONE
    if dry_run is not Dry.CLIENT:
        query = [("dryRun", "All")] if dry_run is Dry.SERVER else []
        api.merge(path_of(namespace, name), patch, query)
    _say_changed(name, done, dry_run)
    if dry_run is Dry.NONE:
        _next(where, name, namespace)
    else:
        print(f"patch: {json.dumps(patch, ensure_ascii=False)}")
        with contextlib.suppress(Gone):  # it has no run yet: all its stages are still to come
            data = run_data(api, request)
            _print_foretold(after(request, merged(request, patch), data.snapshot, data.profile))
    return ExitCode.DONE


def _foretold(api: "Api", manifest: "Manifest", namespace: str) -> "Foretold":
    from tunesmith.cluster.data import run_data
    from tunesmith.cluster.foretell import after, first_run, merged
    from tunesmith.cluster.requests import get

    try:
        request = get(api, namespace, manifest.request.metadata.name)
        data = run_data(api, request)
        return after(request, merged(request, {"spec": manifest.document["spec"]}), data.snapshot, data.profile)
    except (Gone, TunesmithError):
        return first_run(manifest.request)


def _print_foretold(foretold: "Foretold") -> None:
    from tunesmith.cli.terminal import table

    for edit in foretold.edits:
        print(f"changed: {edit}")
    print(table([("STAGE", "KEY", "WOULD"), *((name, key or "<by the profile>", would) for name, key, would in foretold.stages)]))


def _say_changed(name: str, what: str, dry_run: Dry) -> None:
    from tunesmith.cluster.requests import QUALIFIED

    words = {Dry.NONE: "", Dry.CLIENT: " (dry run)", Dry.SERVER: " (server dry run)"}
    print(f"{QUALIFIED}/{name} {what}{words[dry_run]}", flush=True)


def _next(where: Where, name: str, namespace: str) -> None:
    """What a person may want to type now; not part of the result."""
    print("Next:", file=sys.stderr)
    for words in (("status", name, "-w"), ("logs", name, "-f")):
        print(f"  {where.command(*words, namespace=namespace)}", file=sys.stderr)
