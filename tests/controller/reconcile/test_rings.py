"""Requests that wait for each other."""

import pytest
from reconcile_steps import line, look, play, sets

from tunesmith_controller.decide.model import Other
from tunesmith_controller.decide.reconcile.rings import message

GENERATE, TRAIN = "generate", "train"
RINGS = {
    "of two": (GENERATE, {"a": Other(reads=(("r", GENERATE),))}, "a, which waits for r"),
    "of three": (
        GENERATE,
        {"a": Other(reads=(("b", TRAIN),)), "b": Other(reads=(("r", TRAIN),))},
        "a, which waits for b, which waits for r",
    ),
    "none has begun, so all names count": (
        GENERATE,
        {"a": Other(reads=(("r", TRAIN),))},
        "a, which waits for r",
    ),
    "beside a ring that it is not in": (
        GENERATE,
        {"a": Other(reads=(("b", GENERATE),)), "b": Other(reads=(("a", GENERATE),))},
        "",
    ),
    "the dataset is done before the adapter is asked for": (
        GENERATE,
        {"a": Other(run="a-1", reads=(("r", TRAIN),))},
        "",
    ),
    "both have begun, and wait for each other's dataset": (
        GENERATE,
        {"a": Other(run="a-1", reads=(("r", GENERATE),))},
        "a, which waits for r",
    ),
    "what it waits for is done": (
        TRAIN,
        {"a": Other(run="a-1", finished=(GENERATE, TRAIN), reads=(("r", "merge"),))},
        "",
    ),
    "its own dataset is done before it waits": (
        TRAIN,
        {"a": Other(run="a-1", reads=(("r", GENERATE),))},
        "",
    ),
    "the end of the chain does not exist": (GENERATE, {"a": Other(reads=(("gone", GENERATE),))}, ""),
}


@pytest.mark.parametrize(("stage", "others", "ring"), RINGS.values(), ids=RINGS)
def test_a_ring_is_told_with_all_that_are_in_it(stage, others, ring):
    told = message(("r", stage), "a", others, "spec.data.from.request")
    assert (f"this one waits for {ring}. What to do: " in told) if ring else told == ""


@pytest.mark.parametrize("field", ["data", "training"])
def test_a_request_in_a_ring_says_so_and_waits(field):
    others = {"a": Other(reads=(("riddles", GENERATE),))}
    _, decision = play([sets("others", others), look], spec={f"{field}.from": {"request": "a"}})
    assert line(decision) == "Pending WaitingForRequest"
    assert "a ring of requests, none of which can go on" in decision.status.message
