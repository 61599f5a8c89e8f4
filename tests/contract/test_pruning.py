"""An older release reads what a newer one has written: it leaves out what is new, and keeps all else."""

import json

import pytest
from requests_for_tests import document

from tunesmith.plan import snapshot
from tunesmith.profile import Profile
from tunesmith.pruning import pruned, read_pruned
from tunesmith.request import parse
from tunesmith.resolve import Snapshot, too_new
from tunesmith.status import Condition, FinishedStage, StageStatus, Status

WRITTEN = Status(
    phase="Running",
    run="r-01234567",
    finished=(FinishedStage(stage="generate", key="0" * 16),),
    stages=(
        StageStatus(name="generate", key="0" * 16, phase="Succeeded"),
        StageStatus(name="train", key="1" * 16, phase="Running", attempt=2, job="r-train"),
    ),
    conditions=(
        Condition(
            type="Accepted", status="True", reason="Accepted", lastTransitionTime="2026-11-23T10:00:00Z"
        ),
    ),
)


def written():
    return json.loads(WRITTEN.model_dump_json(by_alias=True))


def read(status):
    return read_pruned(Status, json.dumps(status), unknown_values=True)


def test_a_status_of_this_release_is_read_whole():
    assert read(written()) == WRITTEN


def test_a_new_phase_becomes_the_default_and_costs_neither_run_nor_attempts_nor_finished_stages():
    status = written() | {"phase": "Preheating"}
    assert read(status) == WRITTEN.model_copy(update={"phase": "Pending"})


def test_a_new_phase_of_a_stage_becomes_the_default_of_that_row_alone():
    status = written()
    status["stages"][1]["phase"] = "Preheating"
    rows = read(status).stages
    assert [(row.phase, row.attempt, row.job) for row in rows] == [
        ("Succeeded", 0, ""),
        ("Pending", 2, "r-train"),
    ]


def test_a_new_type_of_condition_is_left_out_and_the_others_stay():
    status = written()
    status["conditions"].insert(0, status["conditions"][0] | {"type": "Quantized"})
    assert read(status) == WRITTEN


def test_new_fields_are_left_out_at_every_depth():
    status = written() | {"variants": {"a": 1}}
    status["stages"][0]["gpuHours"] = 3
    assert pruned(Status, status)[1].fields == ["stages[0].gpuHours", "variants"]
    assert read(status) == WRITTEN


@pytest.mark.parametrize("broken", ["[]", "{", '{"stages": 3}', '{"progress": "many"}'])
def test_what_is_not_a_status_is_an_error(broken):
    with pytest.raises(ValueError, match=r"Expecting|validation error"):
        read_pruned(Status, broken, unknown_values=True)


@pytest.mark.parametrize("member", [{"apiVersion": "tunesmith.dev/v2"}, {"kind": "Receipt"}])
def test_a_document_that_says_it_is_something_else_is_not_read_as_a_snapshot(member):
    other = json.loads(snapshot(parse(document()), run="r").to_json()) | member
    with pytest.raises(ValueError, match="validation error"):
        read_pruned(Snapshot, json.dumps(other))


@pytest.mark.parametrize("source", ["request", "built-in"])
def test_a_new_value_is_named_to_an_image_that_does_not_know_it_whoever_has_set_it(source):
    """With another value it would compute something else under the same key."""
    newer = json.loads(snapshot(parse(document()), run="r").to_json())
    newer["spec"]["merge"]["dtype"] = "float8"
    newer["provenance"]["merge.dtype"] = source
    assert too_new(json.dumps(newer)) == ["spec.merge.dtype"]
    with pytest.raises(ValueError, match=r"spec\.merge\.dtype"):
        read_pruned(Snapshot, json.dumps(newer))


def test_a_new_value_in_a_profile_is_an_error_since_nothing_may_take_its_place():
    """Leaving out a new kind of encryption would store the run in the clear."""
    text = json.dumps({"name": "lab", "store": {"url": "s3://b", "encryption": "aws:kms2"}})
    with pytest.raises(ValueError, match=r"store\.encryption"):
        read_pruned(Profile, text)


@pytest.mark.parametrize("text", ["", "[]", "{", "3"])
def test_what_is_not_a_snapshot_has_nothing_too_new(text):
    assert too_new(text) == []
