"""Which stages a change of a request would run, and which it would reuse: by the profile that is frozen with it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.changes import Change, changes
from tunesmith.children import run_name
from tunesmith.plan import graph, references, snapshot
from tunesmith.profile import Profile
from tunesmith.request import TrainingRequest, parse
from tunesmith.resolve import Snapshot
from tunesmith.stages import ORDER
from tunesmith_cli.cluster.requests import status_of


@dataclass(frozen=True)
class Foretold:
    """`stages`: name, key (empty where only the controller can tell), and `run` or `reuse`. `edits`: which field moved the key of what."""

    stages: tuple[tuple[str, str, str], ...]
    edits: tuple[Change, ...] = ()


def first_run(request: TrainingRequest) -> Foretold:
    """For a request without a run: the keys follow from the profile, which only the controller knows."""
    return Foretold(tuple((entry.name, "", "run") for entry in graph(request.spec)))


def after(
    request: Mapping[str, Any], changed: Mapping[str, Any], before: Snapshot, profile: Profile
) -> Foretold:
    """For a change of a request that has a run. A stage taken from another request keeps the run that it was taken from."""
    document = _with_runs(readable(changed), request["spec"], before)
    own = request["spec"].get("run")  # a request that names its run no more has one of its own
    run = run_name(request["metadata"]["name"], request["metadata"]["uid"]) if own else before.run
    made = snapshot(parse(document), run=run, profile=profile, cluster=True)
    finished = (
        {(one.stage, one.key) for one in status_of(request).finished} if made.run == before.run else set()
    )
    # What comes from a request that was not named before depends on that one's run.
    unknown = min((ORDER.index(stage) for _, stage in references(made.spec)), default=len(ORDER))
    stages = tuple(
        (
            one.name,
            "" if ORDER.index(one.name) >= unknown else one.key,
            "reuse" if (one.name, one.key) in finished else "run",
        )
        for one in made.stages
    )
    return Foretold(stages, tuple(changes(before, made)))


def readable(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request of the API server without its status, which a request in a file cannot have."""
    return {name: value for name, value in request.items() if name != "status"}


def _with_runs(document: Mapping[str, Any], now: Mapping[str, Any], before: Snapshot) -> dict[str, Any]:
    """The document with the runs that the controller put in place of other requests' names, where it still names the same ones."""
    spec = dict(document["spec"])
    for part, frozen in (("data", before.spec.data.from_), ("training", before.spec.training.from_)):
        wish = spec.get(part) or {}
        same = wish.get("from") == (now.get(part) or {}).get("from")
        if (wish.get("from") or {}).get("request") and same and frozen is not None and frozen.run:
            spec[part] = {**wish, "from": {"run": frozen.run}}
    return {**document, "spec": spec}
