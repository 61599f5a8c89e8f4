"""Limits and fairness of admission: properties over any set of requests, and the words that people read."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.profile import Limits
from tunesmith_controller.decide.admission import Candidate, turns
from tunesmith_controller.decide.model import Turn

NAMESPACES = ("blue", "green", "red")


def candidate(number, namespace="blue", **more):
    return Candidate(
        f"uid-{number:03d}", namespace, f"r{number}", "default", f"2026-11-23T12:{number:02d}:00Z", **more
    )


@st.composite
def waiting(draw):
    spaces = draw(st.lists(st.sampled_from(NAMESPACES), min_size=1, max_size=14))
    return [candidate(number, namespace) for number, namespace in enumerate(spaces)]


LIMITS = st.builds(
    lambda requests, each, gpu, gpu_each: Limits(
        requests=requests, requestsPerNamespace=each, gpuJobs=gpu, gpuJobsPerNamespace=gpu_each
    ),
    st.integers(0, 5),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 2),
)


def at_work(candidates):
    return [entry for entry in candidates if entry.at_work]


def play(candidates, limits, draw_index, steps):
    """Requests start when they may and end, in any order; yields the candidates after each step."""
    for step in range(steps):
        answer = turns(candidates, {"default": limits})
        ready = [entry for entry in candidates if not entry.at_work and not answer[entry.uid].place]
        ends = draw_index(step, 2) == 0 and at_work(candidates)
        if ends:
            gone = ends[draw_index(step, len(ends))]
            candidates = [entry for entry in candidates if entry.uid != gone.uid]
        elif ready:
            next_one = ready[draw_index(step, len(ready))]
            candidates = [
                replace(entry, at_work=True) if entry.uid == next_one.uid else entry for entry in candidates
            ]
        yield candidates, answer


@settings(deadline=None, max_examples=150)
@given(candidates=waiting(), limits=LIMITS, choices=st.lists(st.integers(0, 1000), min_size=20, max_size=20))
def test_the_limits_are_never_passed_and_no_place_stays_empty(candidates, limits, choices):
    for now, _ in play(candidates, limits, lambda step, among: choices[step] % among, len(choices)):
        busy = at_work(now)
        counts = Counter(entry.namespace for entry in busy)
        assert not limits.requests or len(busy) <= limits.requests
        assert not limits.requests_per_namespace or all(
            count <= limits.requests_per_namespace for count in counts.values()
        )
        answer = turns(now, {"default": limits})
        for entry in now:
            if not entry.at_work and answer[entry.uid].place:
                admitted = [other for other in now if not other.at_work and not answer[other.uid].place]
                total = len(busy) + len(admitted)
                own = counts[entry.namespace] + sum(other.namespace == entry.namespace for other in admitted)
                full = limits.requests and total >= limits.requests
                assert full or (limits.requests_per_namespace and own >= limits.requests_per_namespace), (
                    "it waits for nothing"
                )


@settings(deadline=None, max_examples=150)
@given(candidates=waiting(), limit=st.integers(1, 6))
def test_no_namespace_is_more_than_one_turn_behind(candidates, limit):
    """While a namespace waits, no other runs more than one request more than it does."""
    answer = turns(candidates, {"default": Limits(requests=limit)})
    counts = Counter(entry.namespace for entry in candidates if not answer[entry.uid].place)
    for entry in candidates:
        if answer[entry.uid].place:
            assert max(counts.values()) - counts[entry.namespace] <= 1


@settings(deadline=None, max_examples=100)
@given(candidates=waiting(), limits=LIMITS)
def test_places_are_numbered_through_and_the_oldest_of_a_namespace_is_first(candidates, limits):
    answer = turns(candidates, {"default": limits})
    places = sorted(turn.place for turn in answer.values() if turn.place)
    assert places == list(range(1, len(places) + 1))
    for namespace in NAMESPACES:
        own_places = [answer[entry.uid].place for entry in candidates if entry.namespace == namespace]
        assert own_places == sorted(own_places)


@settings(deadline=None, max_examples=150)
@given(
    candidates=st.lists(
        st.builds(
            lambda number, namespace, gpu, waits: candidate(
                number, namespace, at_work=True, gpu=gpu, waits_for_gpu=waits and not gpu
            ),
            st.integers(0, 59),
            st.sampled_from(NAMESPACES),
            st.booleans(),
            st.booleans(),
        ),
        min_size=1,
        max_size=10,
        unique_by=lambda entry: entry.uid,
    ),
    gpu=st.integers(1, 4),
)
def test_free_gpus_go_to_those_who_wait_and_to_no_more_than_there_are(candidates, gpu):
    answer = turns(candidates, {"default": Limits(gpuJobs=gpu)})
    holders = [entry for entry in candidates if entry.gpu]
    chosen = [entry for entry in candidates if entry.waits_for_gpu and answer[entry.uid].gpu]
    waiters = [entry for entry in candidates if entry.waits_for_gpu]
    assert len(chosen) == min(len(waiters), max(0, gpu - len(holders)))
    spare = gpu - len(holders) - len(chosen)
    others = [entry for entry in candidates if not entry.gpu and not entry.waits_for_gpu]
    assert all(answer[entry.uid].gpu == (spare > 0) for entry in others)


WORDS = {
    "no limit": ([candidate(1)], Limits(), "uid-001", Turn()),
    "the profile is full": (
        [candidate(1, at_work=True), candidate(2)],
        Limits(requests=1),
        "uid-002",
        Turn(place=1, why="profile default has reached its limit (limits.requests: 1)"),
    ),
    "the namespace is full": (
        [candidate(1, at_work=True), candidate(2)],
        Limits(requests=9, requestsPerNamespace=1),
        "uid-002",
        Turn(
            place=1,
            why="namespace blue has reached the limit of profile default (limits.requestsPerNamespace: 1)",
        ),
    ),
    "another namespace is not held by a full one": (
        [candidate(1, at_work=True), candidate(2), candidate(3, "red")],
        Limits(requests=2, requestsPerNamespace=1),
        "uid-003",
        Turn(),
    ),
    "a running request keeps its place though the limit was lowered": (
        [candidate(1, at_work=True), candidate(2, at_work=True)],
        Limits(requests=1),
        "uid-002",
        Turn(),
    ),
    "GPUs are used up": (
        [candidate(1, at_work=True, gpu=True), candidate(2, at_work=True)],
        Limits(gpuJobs=1),
        "uid-002",
        Turn(gpu=False, gpu_why="profile default runs 1 of its 1 Jobs with a GPU"),
    ),
    "GPUs of the namespace are used up": (
        [candidate(1, at_work=True, gpu=True), candidate(2, at_work=True)],
        Limits(gpuJobs=9, gpuJobsPerNamespace=1),
        "uid-002",
        Turn(
            gpu=False,
            gpu_why="namespace blue runs 1 of the 1 Jobs with a GPU that its profile allows at once",
        ),
    ),
    "the teacher's rate is divided over those who generate, oneself included": (
        [candidate(1, at_work=True, generating=True), candidate(2)],
        Limits(teacherRequestsPerMinute=100),
        "uid-002",
        Turn(teacher_rate=50),
    ),
    "a rate is never none": (
        [candidate(number, at_work=True, generating=True) for number in range(9)],
        Limits(teacherRequestsPerMinute=4),
        "uid-003",
        Turn(teacher_rate=1),
    ),
}


@pytest.mark.parametrize(("candidates", "limits", "uid", "expected"), WORDS.values(), ids=WORDS)
def test_a_turn(candidates, limits, uid, expected):
    assert turns(candidates, {"default": limits})[uid] == expected


def test_profiles_do_not_hold_each_other():
    others = [replace(candidate(number), profile="gold", at_work=True) for number in range(5)]
    answer = turns([*others, candidate(9)], {"gold": Limits(requests=5), "default": Limits(requests=1)})
    assert answer["uid-009"] == Turn()


def test_a_thousand_requests_are_sorted_in_a_moment():
    many = [candidate(number % 60, f"team-{number % 5}") for number in range(1000)]
    many = [replace(entry, uid=f"uid-{number}") for number, entry in enumerate(many)]
    answer = turns(many, {"default": Limits(requests=100)})
    assert sum(not turn.place for turn in answer.values()) == 100
