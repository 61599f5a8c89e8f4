"""Limits and fairness of admission: properties over any set of requests, and the words that people read."""

import time
from collections import Counter
from dataclasses import replace

import pytest
from controller.reconcile.plain_admission import plain_turns
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.profile import Limits
from tunesmith_controller.decide.admission import Admission, Candidate
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


def admitted(candidates, limits):
    """The Admission that knows these candidates."""
    admission = Admission(limits)
    for entry in candidates:
        admission.put(entry)
    return admission


def turns(candidates, limits):
    """The turn of each candidate, by uid."""
    admission = admitted(candidates, limits)
    return {entry.uid: admission.turn(entry.uid) for entry in candidates}


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


STATES = [
    {},
    {"at_work": True},
    {"at_work": True, "gpu": True},
    {"at_work": True, "generating": True},
    {"at_work": True, "waits_for_gpu": True},
    {"waits_for_gpu": True},
    {"at_work": True, "gpu": True, "waits_for_gpu": True},
    None,  # it goes
]


@settings(deadline=None, max_examples=300)
@given(
    limits=LIMITS,
    moves=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(NAMESPACES), st.sampled_from(STATES)), max_size=40
    ),
)
def test_after_any_changes_the_turns_are_those_of_the_plain_rule(limits, moves):
    limits = {"default": limits.model_copy(update={"teacher_requests_per_minute": 60})}
    admission, known, called = Admission(limits), {}, set()
    for number, namespace, state in moves:
        uid = f"uid-{number:03d}"
        if state is None:
            known.pop(uid, None)
            admission.drop(uid)
        else:
            space = known[uid].namespace if uid in known else namespace
            known[uid] = candidate(number, space, **state)
            admission.put(known[uid])
        expected = plain_turns(list(known.values()), limits)
        assert {uid: admission.turn(uid) for uid in known} == expected
        places = {uid: turn.place for uid, turn in expected.items() if turn.place}
        assert admission.places() == places
        called = (called & known.keys()) | set(admission.called())
        may_start = {uid for uid, one in known.items() if not one.at_work and not expected[uid].place}
        assert may_start <= called, "each one is told once its turn has come"


def test_a_turn_that_has_come_is_news_once_and_again_when_it_was_lost():
    first, second = candidate(1, at_work=True), candidate(2)
    admission = admitted([first, second], {"default": Limits(requests=1)})
    assert list(admission.called()) == []
    admission.drop(first.uid)
    assert [list(admission.called()), list(admission.called())] == [[second.uid], []]
    older = candidate(0)
    admission.put(older)
    assert list(admission.called()) == [older.uid]
    admission.drop(older.uid)
    assert list(admission.called()) == [second.uid]


def test_names_that_no_profile_has_do_not_add_up():
    admission = Admission({"default": Limits(requests=1)})
    for number in range(50):
        admission.put(replace(candidate(number), profile=f"nonsense-{number}"))
        admission.drop(f"uid-{number:03d}")
    assert len(admission._profiles) == 1


def test_a_booking_among_five_thousand_in_five_hundred_namespaces_takes_a_moment():
    limits = {"default": Limits(requests=100, requestsPerNamespace=5, gpuJobs=50)}
    many = [
        replace(
            candidate(number % 60, f"team-{number % 500}", at_work=number < 100),
            uid=f"uid-{number}",
            waits_for_gpu=number % 3 == 0,
        )
        for number in range(5000)
    ]
    admission = admitted(many, limits)
    list(admission.called())
    begun = time.process_time()
    for number in range(100):
        admission.drop(f"uid-{number}")
        for uid in list(admission.called()):
            admission.turn(uid)
            admission.put(replace(admission.candidates[uid], at_work=True))
        admission.turn(f"uid-{4999 - number}")
    each = (time.process_time() - begun) / 100
    assert each < 0.02, f"{each * 1000:.1f} ms a booking"
    assert sum(one.at_work for one in admission.candidates.values()) == 100
