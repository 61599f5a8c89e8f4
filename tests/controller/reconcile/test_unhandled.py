"""The status of a request on which the controller fails: Failed, and with all that can be kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tunesmith.status import Condition, FinishedStage, Outputs, StageStatus, Status
from tunesmith_controller.applied import status_json
from tunesmith_controller.decide.objects import read_status
from tunesmith_controller.decide.unhandled import unhandled

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
BEFORE = "2026-11-22T10:00:00Z"
OLD = Status(
    observedGeneration=1,
    phase="Running",
    reason="Running",
    message="train: 40 %",
    stage="train",
    progress=40,
    run="r-1",
    store="s3://bucket/runs/a",
    snapshot="r-snapshot-1",
    startTime=BEFORE,
    outputs=Outputs(dataset="s3://bucket/runs/a/r-1/generate"),
    stages=(
        StageStatus(
            name="train", key="k2", phase="Running", attempt=1, job="r-train-1", metrics={"loss": 2.0}
        ),
    ),
    finished=(FinishedStage(stage="generate", key="k1", seconds=3.5, metrics={"rows": 9}),),
    conditions=(
        Condition(type="Accepted", status="True", reason="Accepted", lastTransitionTime=BEFORE),
        Condition(type="Stalled", status="False", reason="Progressing", lastTransitionTime=BEFORE),
    ),
)


def request(status: Any) -> dict[str, Any]:
    metadata = {"name": "r", "namespace": "a", "uid": "u", "resourceVersion": "1", "generation": 2}
    return {"apiVersion": "v", "kind": "K", "metadata": metadata, "spec": None, "status": status}


def test_it_is_failed_for_its_generation_and_keeps_what_was_done() -> None:
    status = unhandled(request(status_json(OLD)), "0123abcd", NOW)
    assert (status.phase, status.reason, status.observed_generation) == ("Failed", "InternalError", 2)
    assert "0123abcd stands in its log" in status.message
    assert (status.run, status.store, status.snapshot) == (OLD.run, OLD.store, OLD.snapshot)
    assert (status.start_time, status.completion_time) == (BEFORE, "2026-11-23T10:00:00Z")
    assert (status.outputs, status.stages, status.finished) == (OLD.outputs, OLD.stages, OLD.finished)
    assert (status.stage, status.progress, status.queue_place) == ("", 0, 0)
    conditions = {entry.type: (entry.status, entry.last_transition_time) for entry in status.conditions}
    assert conditions == {
        "Accepted": ("True", BEFORE),
        "Complete": ("Unknown", "2026-11-23T10:00:00Z"),
        "Failed": ("True", "2026-11-23T10:00:00Z"),
        "Reconciling": ("False", "2026-11-23T10:00:00Z"),
        "Stalled": ("True", "2026-11-23T10:00:00Z"),
    }


def test_a_second_look_writes_the_same() -> None:
    first = status_json(unhandled(request(status_json(OLD)), "0123abcd", NOW))
    later = unhandled(request(first), "0123abcd", NOW + timedelta(days=1))
    assert status_json(later) == first
    assert read_status(request(first)) == later, "it is a status like any other"


def test_of_a_status_that_cannot_be_read_the_rest_is_kept() -> None:
    good = status_json(OLD)
    bad = {
        **good,
        "phase": 7,
        "store": ["text"],
        "outputs": "nowhere",
        "stages": {"name": "train"},
        "finished": ["text", None, {"stage": "train"}, *good["finished"], {**good["finished"][0], "new": 1}],
        "conditions": [{"type": "FromTomorrow"}, None],
    }
    status = unhandled(request(bad), "0123abcd", NOW)
    assert (status.run, status.store, status.snapshot) == (OLD.run, "", OLD.snapshot)
    assert (status.outputs, status.stages) == (Outputs(), ())
    assert status.finished == OLD.finished * 2, "a field that only a newer release knows costs no key"
    for nothing in (None, "text", [], {}):
        assert unhandled(request(nothing), "0123abcd", NOW).phase == "Failed"
