"""The snapshot of a generation: the resolved request and its profile, in an immutable ConfigMap."""

from collections.abc import Mapping
from itertools import takewhile

from pydantic import JsonValue

from tunesmith import children, plan, wire
from tunesmith.errors import BadRequest, Problem
from tunesmith.profile import Allow, Profile
from tunesmith.pruning import read_pruned
from tunesmith.request import Rerun, TrainingRequest
from tunesmith.reruns import latest
from tunesmith.resolve import Snapshot, StageKey, leaves, put, resolve, unknown_stages
from tunesmith.stages import ORDER, STAGES
from tunesmith.wire import API_VERSION, KIND
from tunesmith_controller.decide.model import Config, Frozen, Object, Other, SnapshotMap
from tunesmith_controller.decide.objects import Identity, name_of
from tunesmith_controller.decide.reconcile import rings
from tunesmith_controller.decide.reconcile.checks import NotAccepted, Waiting

# In addition to `stages`: the defaults of where and as whom something is done, which move no key.
_TEACHER = [path for path in plan.NEUTRAL if path.startswith("data.teacher.")]
_WHERE = {("model", "tokenSecret"), *(tuple(path.split(".")) for path in _TEACHER)}
LARGEST = 1_048_576 - 4_096  # bytes of a ConfigMap's data; Kubernetes refuses an object of more than 1 MiB


def profile_for(request: TrainingRequest, frozen: Frozen | None, config: Config) -> Profile | None:
    """The profile that a new generation resolves against: the frozen one, or today's if it asks for that.

    A new `retry` takes today's, except for what would move a key. A new `rerun.id` takes all of it, unless
    that would move the key of a stage before the one that is to run again: its result stays, and is not paid
    for twice. The URL of the store never changes, because the run is there.
    """
    spec = request.spec
    today = config.profiles.get(spec.profile)
    if frozen is None or today is None:
        return today if frozen is None else frozen.profile
    whole = today.model_copy(
        update={"store": today.store.model_copy(update={"url": frozen.profile.store.url})}
    )
    same_keys = whole.model_copy(
        update={
            "defaults": _defaults(frozen.profile.defaults, today.defaults),
            "models": frozen.profile.models,
        }
    )
    if spec.rerun is not None and _rerun_id(spec.rerun) != frozen.rerun:
        return whole if _before(request, whole) == _before(request, same_keys) else same_keys
    return same_keys if spec.retry != frozen.retry else frozen.profile


def with_todays_rules(profile: Profile, config: Config) -> Profile:
    """The profile with what it allows today, which holds for old requests too.

    A profile that is gone allows nothing.
    """
    today = config.profiles.get(profile.name)
    return profile.model_copy(update={"allow": today.allow if today else Allow()})


def _defaults(frozen: Mapping[str, JsonValue], today: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The frozen defaults, but today's of where and as whom something is done.

    These move no key; and they belong together, as today's Secret of a teacher is for today's endpoint.
    """
    merged: dict[str, JsonValue] = {}
    for defaults, is_today in ((frozen, False), (today, True)):
        for path, value in leaves(defaults):
            is_where = path[:1] == ("stages",) or path in _WHERE
            if is_where is is_today:
                put(merged, path, value)
    return merged


def _rerun_id(rerun: Rerun | None) -> str:
    """What distinguishes the latest rerun from the one before; empty without a rerun."""
    again = latest(rerun)
    return f"{again.from_} {again.id}" if again else ""


def _before(request: TrainingRequest, profile: Profile) -> list[StageKey] | None:
    """The stages before the one that is to run again, resolved by a profile; None if the spec is invalid."""
    again = latest(request.spec.rerun)
    try:
        spec, _ = resolve(request, profile, cluster=True)
    except BadRequest:
        return None
    if again is None:
        return []
    return list(takewhile(lambda stage: stage.name != again.from_, plan.graph(spec)))


def freeze(
    who: Identity, request: TrainingRequest, profile: Profile, others: Mapping[str, Other]
) -> SnapshotMap:
    """The snapshot of the present generation.

    Raises NotAccepted, or Waiting for the run of another request.
    """
    runs = _runs(who, request, others)
    run = children.run_name(who.name, who.uid)
    try:
        snapshot = plan.snapshot(request, run=run, profile=profile, cluster=True, runs=runs)
    except BadRequest as error:
        raise NotAccepted(error.reason, error.problems or [Problem("spec", error.message)]) from error
    frozen = Frozen(
        generation=who.generation,
        retry=request.spec.retry,
        rerun=_rerun_id(request.spec.rerun),
        profile=profile,
    )
    content = snapshot.to_json() + _text(frozen)
    size = len(content.encode())
    if size > LARGEST:
        why = f"the resolved request has {size} bytes, but a ConfigMap holds at most {LARGEST}"
        remedy = "shorten spec.task, data.seeds or evaluation.prompts; rows of your own belong in data.source"
        raise NotAccepted("SnapshotTooLarge", [Problem("spec", why, remedy=remedy)])
    return SnapshotMap(children.snapshot_name(who.name, who.uid, content), snapshot, frozen)


def config_map(who: Identity, snapshot_map: SnapshotMap, version: str) -> Object:
    """The ConfigMap of a snapshot.

    The same content always has the same name, so that a second write changes nothing.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": snapshot_map.name,
            "namespace": who.namespace,
            "labels": children.labels(who.name, "snapshot", version),
            "ownerReferences": [
                children.owner_reference({"name": who.name, "uid": who.uid}, API_VERSION, KIND)
            ],
        },
        "immutable": True,
        "data": {
            wire.SNAPSHOT_FILE: snapshot_map.snapshot.to_json(),
            wire.FROZEN_FILE: _text(snapshot_map.frozen),
        },
    }


def read_map(item: Object) -> SnapshotMap:
    """The snapshot in a ConfigMap, without what only a newer controller knows: a rollback keeps it as it was.

    Raises KeyError or ValueError if the ConfigMap does not hold one, or one with stages that this release
    cannot run.
    """
    data = item["data"]
    snapshot = read_pruned(Snapshot, data[wire.SNAPSHOT_FILE])
    if unknown := unknown_stages(snapshot):
        raise ValueError(f"this release does not know the stages {', '.join(unknown)}")
    return SnapshotMap(name_of(item), snapshot, read_pruned(Frozen, data[wire.FROZEN_FILE]))


def _runs(who: Identity, request: TrainingRequest, others: Mapping[str, Other]) -> dict[str, str]:
    """The runs of the other requests that a request names. Raises Waiting for one without a run."""
    return {name: _run(who, name, stage, others) for name, stage in plan.references(request.spec)}


def _run(who: Identity, name: str, stage: str, others: Mapping[str, Other]) -> str:
    path = f"spec.{STAGES[stage].reference}.request"
    other = others.get(name)
    if other is None:
        raise Waiting(
            "RequestNotFound",
            f"{path}: there is no TrainingRequest {name} in namespace {who.namespace} yet; apply it",
        )
    if other.run:
        return other.run
    if ring := rings.message((who.name, ORDER[0]), name, others, path):
        raise Waiting("WaitingForRequest", ring)
    raise Waiting("WaitingForRequest", f"{path}: TrainingRequest {name} has not started yet")


def _text(frozen: Frozen) -> str:
    return frozen.model_dump_json(by_alias=True, indent=1)
