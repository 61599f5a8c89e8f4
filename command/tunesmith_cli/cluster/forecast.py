"""Which stages a change of a request would run, and which it would reuse, by the frozen profile. Pure."""

from collections.abc import Mapping
from typing import Any

from tunesmith.changes import changes
from tunesmith.children import run_name
from tunesmith.plan import borrowed, graph, references, snapshot
from tunesmith.profile import Profile
from tunesmith.request import TrainingRequest, parse
from tunesmith.resolve import Snapshot
from tunesmith.stages import ORDER, STAGES
from tunesmith_cli.cluster.requests import status_of
from tunesmith_cli.forecast import Forecast, StageForecast


def first_run(request: TrainingRequest) -> Forecast:
    """For a request without a run: the keys follow from the profile, which only the controller knows."""
    return Forecast(tuple(StageForecast(entry.name, "", "run") for entry in graph(request.spec)))


def after_change(
    request: Mapping[str, Any], changed: Mapping[str, Any], before: Snapshot, profile: Profile
) -> Forecast:
    """For a change of a request that has a run.

    A stage taken from another request keeps the run that it was taken from.
    """
    document = _with_runs(without_status(changed), request["spec"], before)
    run = before.run
    if request["spec"].get("run"):  # a request that no longer names a run gets a new one
        run = run_name(request["metadata"]["name"], request["metadata"]["uid"])
    after = snapshot(parse(document), run=run, profile=profile, cluster=True)
    finished = set()
    if after.run == before.run:
        finished = {(stage.stage, stage.key) for stage in status_of(request).finished}
    # What is taken from a request that was not named before depends on that one's run.
    unknown = min((ORDER.index(stage) for _, stage in references(after.spec)), default=len(ORDER))
    stages = tuple(
        StageForecast(
            entry.name,
            "" if ORDER.index(entry.name) >= unknown else entry.key,
            "reuse" if (entry.name, entry.key) in finished else "run",
        )
        for entry in after.stages
    )
    return Forecast(stages, tuple(changes(before, after)))


def without_status(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request of the API server without its status, which a request in a file cannot have."""
    return {name: value for name, value in request.items() if name != "status"}


def _with_runs(document: Mapping[str, Any], now: Mapping[str, Any], before: Snapshot) -> dict[str, Any]:
    """The document with the runs that the controller put in place of other requests' names, if it still names
    the same ones.
    """
    spec = dict(document["spec"])
    for stage, reference in borrowed(before.spec).items():
        part, _, field = STAGES[stage].reference.partition(".")
        wanted = (spec.get(part) or {}).get(field)
        same = wanted == (now.get(part) or {}).get(field)
        if (wanted or {}).get("request") and same and reference.run:
            spec[part] = {**spec[part], field: {"run": reference.run}}
    return {**document, "spec": spec}
