"""Whose turn it is, booked as decisions are made. Admission is the real one."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunesmith.profile import Limits
from tunesmith.status import Status
from tunesmith_controller.cache import Key
from tunesmith_controller.decide.model import Decision, Turn
from tunesmith_controller.decide.standing import standing
from tunesmith_controller.turns import Turns


def request(name: str, second: int, profile: str = "default", **status: Any) -> dict[str, Any]:
    created = f"2026-11-23T10:00:{second:02}Z"
    metadata = {
        "name": name,
        "namespace": "a",
        "uid": f"uid-{name}",
        "generation": 1,
        "creationTimestamp": created,
    }
    return {"metadata": metadata, "spec": {"profile": profile}, "status": status}


def works(turn: Turn) -> Decision:
    """A request that starts when it may."""
    return Decision(
        Status(queuePlace=turn.place, phase="Queued" if turn.place else "Running"), at_work=not turn.place
    )


def rests(_turn: Turn) -> Decision:
    """A request that wants nothing: suspended, refused, finished."""
    return Decision(Status(phase="Suspended"))


def look(
    turns: Turns, item: dict[str, Any], think: Callable[[Turn], Decision] = works
) -> tuple[Decision, list[Key]]:
    """A decision that is written at once; and who is called by it."""
    decision, came = turns.decide(item, think)
    return decision, came + turns.settle(item, decision)


def place(turns: Turns, item: dict[str, Any], think: Callable[[Turn], Decision] = works) -> int:
    return look(turns, item, think)[0].status.queue_place


def test_the_next_in_line_is_named_when_a_place_is_free() -> None:
    turns = Turns({"default": Limits(requests=1)})
    first, second, third = request("first", 1), request("second", 2), request("third", 3)
    assert [place(turns, item) for item in (first, second, third)] == [0, 1, 2]
    _, came = look(turns, first, rests)
    assert came == [("a", "second")]
    assert turns.moved(9) == [("a", "third")], "third is one place further than it was told"
    assert [place(turns, item) for item in (second, third)] == [0, 1]
    assert turns.moved(9) == []
    assert turns.forget("uid-second") == [("a", "third")]


def test_one_that_nobody_can_decide_about_does_not_stand_before_the_others() -> None:
    turns = Turns({"default": Limits(requests=1)})

    def fails(_turn: Turn) -> Decision:
        raise RuntimeError("poisoned")

    for _ in range(2):
        with pytest.raises(RuntimeError):
            turns.decide(request("first", 1), fails)
    assert place(turns, request("second", 2)) == 0


def test_a_place_is_given_back_only_when_the_end_is_written() -> None:
    turns = Turns({"default": Limits(requests=1)})
    first, second = request("first", 1), request("second", 2)
    assert [place(turns, item) for item in (first, second)] == [0, 1]
    decision, came = turns.decide(first, rests)
    assert (came, place(turns, second)) == ([], 1), "the end is still being written"
    assert turns.settle(first, decision) == [("a", "second")]


def test_one_that_wants_no_place_keeps_nobody_waiting_though_its_status_cannot_be_written() -> None:
    turns = Turns({"default": Limits(requests=1)})
    suspended, second = request("suspended", 1), request("second", 2)
    turns.start([(standing(suspended), ()), (standing(second), ())])
    assert place(turns, second) == 1, "nobody has looked at the older one yet"
    assert turns.decide(suspended, rests)[1] == [("a", "second")]
    assert place(turns, second) == 0


def waits_for_gpu(turn: Turn) -> Decision:
    """A running request whose next stage needs a GPU."""
    reason = "Running" if turn.gpu else "WaitingForGPU"
    return Decision(
        Status(phase="Running" if turn.gpu else "Queued", reason=reason), at_work=True, gpu=turn.gpu
    )


def test_a_gpu_that_comes_free_while_the_wait_for_it_is_written_is_not_missed() -> None:
    turns = Turns({"default": Limits(gpuJobs=1)})
    first, second, third = request("first", 1), request("second", 2), request("third", 3)
    look(turns, first, waits_for_gpu)
    look(turns, third)
    decision, _ = turns.decide(second, waits_for_gpu)
    assert decision.status.reason == "WaitingForGPU"
    assert look(turns, first, rests)[1] == [], "third does not wait for one, and second is not known to"
    assert turns.settle(second, decision) == [("a", "second")]


def test_places_are_told_in_turn_and_no_more_of_them_at_once_than_asked_for() -> None:
    turns = Turns({"default": Limits(requests=1)})
    items = [request(f"r{number}", number) for number in range(5)]
    assert [place(turns, item) for item in items] == [0, 1, 2, 3, 4]
    look(turns, items[0], rests)
    assert place(turns, items[1]) == 0
    assert turns.moved(2) == [("a", "r2"), ("a", "r3")]
    assert [place(turns, item) for item in items[2:4]] == [1, 2]
    look(turns, items[1], rests)
    assert place(turns, items[2]) == 0
    assert turns.moved(1) == [("a", "r4")], "r3 has moved too, but was told later"


def test_who_wants_nothing_keeps_nobody_waiting() -> None:
    turns = Turns({"default": Limits(requests=1)})
    suspended, next_one = request("suspended", 1), request("next", 2)
    assert place(turns, suspended, rests) == 0
    assert place(turns, next_one) == 0


def test_a_new_leader_books_what_is_at_work_before_it_decides_anything() -> None:
    turns = Turns({"default": Limits(requests=1)})
    working = request(
        "working",
        9,
        phase="Running",
        observedGeneration=1,
        stages=[{"name": "train", "key": "k", "phase": "Running", "job": "j"}],
    )
    older = request("older", 1)
    turns.start([(standing(older), ()), (standing(working), ())])
    assert place(turns, older) == 1
    assert place(turns, working) == 0


def test_one_that_had_ended_and_wants_to_work_again_is_given_its_turn() -> None:
    turns = Turns({"default": Limits(requests=1)})
    assert place(turns, request("working", 1)) == 0
    ended = request("ended", 2, phase="Succeeded", observedGeneration=1)
    assert place(turns, ended) == 1
    assert place(turns, ended, rests) == 0


def test_many_workers_never_give_away_more_than_there_is() -> None:
    turns = Turns({"default": Limits(requests=7)})
    started: list[str] = []

    def decide(number: int) -> None:
        item = request(f"r{number}", number % 60)
        if place(turns, item) == 0:
            started.append(item["metadata"]["uid"])

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 7


def test_who_generates_is_named_when_another_one_takes_a_part_of_the_teacher() -> None:
    def generates(turn: Turn) -> Decision:
        return replace(works(turn), generating=True)

    turns = Turns({"default": Limits(teacherRequestsPerMinute=60)})
    first, second, third = request("first", 1), request("second", 2), request("third", 3)
    look(turns, first, generates)
    assert turns.reshared() == []
    look(turns, second, generates)
    assert turns.reshared() == [("a", "first")], "second was made with its half"
    look(turns, first, generates)
    assert turns.reshared() == []
    look(turns, third, works)
    assert turns.reshared() == [], "third trains"
    turns.forget("uid-second")
    assert turns.reshared() == [("a", "first")]
