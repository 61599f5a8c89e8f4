"""Which key comes when: the rule with a clock of its own, and the threads on top of it."""

import threading
import time
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tunesmith_controller.queue import FIRST_BACKOFF, LAST_BACKOFF, LONGEST, Schedule, WorkQueue, bounded
from tunesmith_controller.refusals import Refusals

KEYS = st.sampled_from("abcd")


class ScheduleModel(RuleBasedStateMachine):
    """The schedule against the plainest model: for each key the earliest time that it was asked for."""

    taken = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.schedule: Schedule[str] = Schedule()
        self.now = 0.0
        self.due: dict[str, float] = {}
        self.hand: set[str] = set()
        self.failed: Counter[str] = Counter()

    @rule(key=KEYS, after=st.sampled_from([0.0, 0.5, 3.0, 100.0]))
    def ask(self, key: str, after: float) -> None:
        self.schedule.ask(key, self.now + after)
        self.due[key] = min(self.due.get(key, float("inf")), self.now + after)

    @rule(seconds=st.sampled_from([0.1, 1.0, 50.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        ready = {key: due for key, due in self.due.items() if key not in self.hand and due <= self.now}
        taken = self.schedule.take(self.now)
        if not ready:
            assert taken is None
            return
        assert taken is not None, f"{ready} are due"
        key, due = taken
        assert due == ready[key] == min(ready.values())
        del self.due[key]
        self.hand.add(key)

    @rule(key=KEYS, failed=st.booleans())
    def give_back(self, key: str, failed: bool) -> None:
        if key not in self.hand:
            return
        self.schedule.give_back(key, self.now, failed=failed)
        self.hand.discard(key)
        if failed:
            self.failed[key] += 1
            backoff = min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** (self.failed[key] - 1))
            self.due[key] = min(self.due.get(key, float("inf")), self.now + backoff)
        else:
            del self.failed[key]

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.schedule.forget(key)
        self.due.pop(key, None)
        del self.failed[key]

    @invariant()
    def the_wait_is_until_the_next_key_that_may_be_taken(self) -> None:
        free = [due for key, due in self.due.items() if key not in self.hand]
        assert self.schedule.wait(self.now) == (max(0.0, min(free) - self.now) if free else None)


TestSchedule = ScheduleModel.TestCase
TestSchedule.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_the_heap_holds_no_more_void_entries_than_it_may() -> None:
    schedule: Schedule[int] = Schedule()
    for number in range(1000):
        schedule.ask(number, 86_400.0)
        schedule.ask(number, 1.0)
        schedule.forget(number)
    for look in range(1000):
        schedule.ask(-1, look)
        schedule.ask(-1, 86_400.0)
        assert schedule.take(look) == (-1, look)
        schedule.ask(-1, 86_400.0 - look / 1000)
        schedule.give_back(-1, look)
    assert len(schedule.heap) < 200


def test_no_key_is_ever_in_two_hands_and_none_is_lost() -> None:
    queue: WorkQueue[int] = WorkQueue()
    hands: Counter[int] = Counter()
    most: list[int] = []
    seen: Counter[int] = Counter()
    lock = threading.Lock()

    def work() -> None:
        while (key := queue.get()) is not None:
            with lock:
                hands[key] += 1
                seen[key] += 1
                most.append(hands[key])
            time.sleep(0.0005)
            with lock:
                hands[key] -= 1
            queue.done(key, failed=seen[key] == 1)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for number in range(4000):
        queue.add(number % 200)
    deadline = time.monotonic() + 20
    while not queue.idle(within=FIRST_BACKOFF) and time.monotonic() < deadline:
        time.sleep(0.01)
    queue.close()
    for worker in workers:
        worker.join(5)
    assert max(most) == 1
    assert set(seen) == set(range(200))
    assert min(seen.values()) >= 2, "a key that failed comes again by itself"
    assert sum(seen.values()) < 4000, "adds of a waiting key are one"


def test_workers_are_woken_for_a_key_that_is_due_earlier_than_what_they_wait_for() -> None:
    queue: WorkQueue[str] = WorkQueue()
    got: list[tuple[str, float]] = []
    begun = time.monotonic()

    def work() -> None:
        while (key := queue.get()) is not None:
            got.append((key, time.monotonic() - begun))
            queue.done(key)

    worker = threading.Thread(target=work)
    worker.start()
    queue.add("later", after=30)
    time.sleep(0.1)
    queue.add("soon", after=0.1)
    deadline = time.monotonic() + 10
    while not got and time.monotonic() < deadline:
        time.sleep(0.01)
    queue.close()
    worker.join(5)
    assert [key for key, _ in got] == ["soon"]
    assert got[0][1] >= 0.2


def test_a_key_that_comes_while_all_wait_for_a_later_one_is_taken_in_time() -> None:
    """Whoever takes a key wakes the next one: it may wait for a key that is due long after another."""
    queue: WorkQueue[str] = WorkQueue()
    taken: dict[str, float] = {}
    begun = time.monotonic()

    def work() -> None:
        while (key := queue.get()) is not None:
            taken[key] = time.monotonic() - begun
            time.sleep(3 if key == "long" else 0)
            queue.done(key)

    queue.add("late", 60)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    queue.add("long", 0.1)
    queue.add("soon", 0.3)
    time.sleep(1.5)
    queue.close()
    assert taken.keys() == {"long", "soon"}


WAITS = {
    "a century": (1e10, LONGEST),
    "for ever": (float("inf"), LONGEST),
    "a number beyond every float": (10**400, LONGEST),
    "what is no number": (float("nan"), LONGEST),
    "the past": (-5.0, 0.0),
    "an hour": (3600.0, 3600.0),
}


@pytest.mark.parametrize(("asked", "waits"), WAITS.values(), ids=WAITS)
def test_a_wait_is_one_that_a_lock_can_wait(asked: float, waits: float) -> None:
    assert bounded(asked) == waits
    queue: WorkQueue[str] = WorkQueue(clock=lambda: 0.0)
    queue.add("a", asked)
    assert queue.schedule.due == {"a": waits}
    if waits:
        threading.Timer(0.05, queue.close).start()
        assert queue.get() is None, "the wait ends with the queue, and not with an OverflowError"


def test_failures_without_end_keep_the_longest_wait() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.failures["a"] = 5000  # a minute each: after 17 hours 2.0 ** 1024 would be an error
    schedule.give_back("a", 0.0, failed=True)
    assert schedule.due == {"a": LAST_BACKOFF}
    refusals = Refusals(clock=lambda: 0.0)
    request = {"metadata": {"uid": "u", "generation": 1}}
    for _ in range(1100):
        refusals.add(request, "quota")
    assert refusals.wait(request) == 60
