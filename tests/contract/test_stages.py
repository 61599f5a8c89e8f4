"""The table of stages: what else has one entry for each stage agrees with it."""

import json
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from requests_for_tests import document

from tunesmith.plan import borrowed, graph, snapshot
from tunesmith.profile import Images, Pods
from tunesmith.request import Spec, Stages, parse
from tunesmith.resolve import StageKey, read_snapshot, too_new, unknown_stages
from tunesmith.stages import AFTER_GATE, JUDGED, ORDER, PARTS, STAGES, KindName, PartName, StageCondition
from tunesmith.status import ConditionType, Outputs

ROOT = Path(__file__).parents[2]


def fields(model):
    return tuple(model.model_fields)


def test_every_stage_has_its_settings_its_pod_its_condition_and_a_name_that_a_request_may_say():
    assert fields(Stages) == fields(Pods) == get_args(KindName) == ORDER
    assert get_args(StageCondition) == tuple(kind.condition for kind in STAGES.values())
    assert set(get_args(StageCondition)) < set(get_args(ConditionType))
    assert {kind.image for kind in STAGES.values()} == set(fields(Images)) - {"pull_policy", "pull_secrets"}


def test_every_stage_is_one_of_those_that_do_not_import_each_other():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    [modules] = [contract["modules"] for contract in contracts if contract["type"] == "independence"]
    assert {f"tunesmith_jobs.{name}" for name in ORDER} <= set(modules)


def test_what_builds_on_the_judged_stage_waits_for_the_gate_and_nothing_else_does():
    every_part = {kind.asked_by: "s3://b/m" for kind in STAGES.values() if kind.asked_by}
    stages = graph(parse(document(every_part)).spec)
    assert {stage.name for stage in stages if JUDGED in stage.needs} == AFTER_GATE


def test_every_part_has_its_place_in_the_status():
    assert fields(Outputs) == get_args(PartName) == tuple(PARTS)
    assert PARTS["report"][0] == JUDGED


def test_a_stage_needs_earlier_ones_only():
    for name, kind in STAGES.items():
        assert all(ORDER.index(need) < ORDER.index(name) for need in kind.needs), name


def test_every_field_that_the_table_names_is_one_of_the_spec():
    spec = Spec.model_validate({"task": "-", "model": {"base": "-"}}).model_dump(mode="json", by_alias=True)
    named = [
        path
        for kind in STAGES.values()
        for path in (*kind.fields, *filter(None, (kind.reference, kind.asked_by)))
    ]
    for path in named:
        part = spec
        for step in path.split("."):
            assert step in part, path
            part = part[step]


@pytest.mark.parametrize("name", [name for name, kind in STAGES.items() if kind.reference])
def test_a_result_is_borrowed_by_the_field_that_the_table_names(name):
    request = parse(document({STAGES[name].reference: {"run": "other"}}))
    assert [(stage, reference.run) for stage, reference in borrowed(request.spec).items()] == [
        (name, "other")
    ]


def held():
    return json.loads(snapshot(parse(document()), run="r").to_json())


def test_a_stage_that_only_a_newer_release_knows_is_read():
    later = {"name": "quantize", "kind": "quantize", "key": "0" * 16, "needs": ["merge"], "variant": "small"}
    newer = held()
    newer["stages"].append(later)
    assert read_snapshot(json.dumps(newer)).stages[-1] == StageKey(
        name="quantize", kind="quantize", key="0" * 16, needs=("merge",)
    )


def test_a_stage_that_this_release_cannot_run_is_named():
    newer = held()
    newer["stages"].append({"name": "train-small", "kind": "train", "key": "0" * 16})
    assert unknown_stages(read_snapshot(json.dumps(newer))) == ["train-small"]
    assert unknown_stages(read_snapshot(json.dumps(held()))) == []


def test_a_kind_is_written_only_where_it_is_not_the_name():
    snapshot = held()
    assert [set(stage) for stage in snapshot["stages"]] == [{"name", "key", "needs"}] * 4
    assert [stage.kind for stage in read_snapshot(json.dumps(snapshot)).stages] == list(ORDER[:4])
    variant = StageKey(name="train-small", kind="train", key="0" * 16, needs=("generate",))
    assert StageKey.model_validate_json(variant.model_dump_json()) == variant


@pytest.mark.parametrize("path", ["task", "output", "data.later", "merge.later.deep"])
def test_a_wish_that_this_release_does_not_know_is_named_in_whichever_part_it_stands(path):
    """`task` and `output` are texts today; a newer release may make them more."""
    newer = held()
    newer["provenance"] = {path: "request"}
    part = newer["spec"]
    *before, last = path.split(".")
    for step in before:
        part = part.setdefault(step, {})
    part[last] = {"new": 1} if "." not in path else 1
    if "." in path:
        first_unknown = "spec." + ".".join(path.split(".")[:2])
        assert too_new(json.dumps(newer)) == [first_unknown]
    else:
        with pytest.raises(Exception, match="snapshot"):
            read_snapshot(json.dumps(newer))


def test_a_stage_needs_all_that_it_builds_on():
    stages = graph(parse(document({"output": "s3://b/m"})).spec)
    assert [(stage.name, stage.kind, stage.needs) for stage in stages] == [
        ("generate", "generate", ()),
        ("train", "train", ("generate",)),
        ("merge", "merge", ("generate", "train")),
        ("evaluate", "evaluate", ("generate", "train", "merge")),
        ("deliver", "deliver", ("generate", "train", "merge", "evaluate")),
    ]
