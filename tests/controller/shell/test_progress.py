"""Progress from logs: which line counts, how often pods are read, and that it stays within its rate."""

import threading
import time
from collections import Counter
from typing import Any

import pytest
from controller.shell.played_server import Answer, Asked, playing, until

from tunesmith.events import Progress
from tunesmith_controller import progress
from tunesmith_controller.cache import Key
from tunesmith_controller.caches import Caches
from tunesmith_controller.progress import LEAST_INTERVAL, ProgressReader, interval, last_progress


def pod(number: int, state: str = "running") -> dict[str, Any]:
    labels = {"tunesmith.dev/request": f"r{number}"}
    metadata = {
        "name": f"p{number}",
        "namespace": "a",
        "uid": f"u{number}",
        "resourceVersion": "1",
        "labels": labels,
    }
    return {
        "metadata": metadata,
        "spec": {},
        "status": {"containerStatuses": [{"name": "stage", "state": {state: {}}}]},
    }


def line(done: int) -> str:
    return Progress(stage="train", done=done, total=100, unit="steps").line()


def test_the_last_whole_progress_line_counts() -> None:
    tail = f"{line(1)}\nloss is falling\n{line(2)}\nnot done\n" + line(3)[:30]
    assert last_progress(tail) == Progress(stage="train", done=2, total=100, unit="steps")
    assert last_progress("no machine lines\n") is None


def test_a_thousand_running_pods_cost_twenty_five_reads_a_second() -> None:
    assert interval(10, 25) == LEAST_INTERVAL == 10
    assert interval(1000, 25) == 40
    cache, now = Caches().pods, 0.0
    for number in range(1000):
        cache.put(pod(number))
    with playing(lambda _asked, answer: answer.refuse(404, "NotFound")) as server:
        reader = ProgressReader(server.api(), cache, lambda _key: None, rate=25, clock=lambda: now)
        reads: Counter[Key] = Counter()
        for second in range(1, 601):
            now = float(second)
            reads.update(reader.take_due(now))
    assert set(reads) == {("a", f"p{number}") for number in range(1000)}
    assert max(reads.values()) <= 1 + 600 / 40
    assert min(reads.values()) >= 600 / (40 * 1.1) - 1


def test_while_reads_hang_no_more_are_lined_up() -> None:
    cache, batches, hang = Caches().pods, list[int](), threading.Event()
    for number in range(50):
        cache.put(pod(number))

    class Hanging(ProgressReader):
        def take_due(self, now: float) -> list[Key]:
            due = super().take_due(now)
            batches.append(len(due))
            return due

        def read(self, key: Key) -> None:
            hang.wait(20)

    with playing(lambda _asked, answer: answer.refuse(404, "NotFound")) as server:
        reader = Hanging(server.api(), cache, lambda _key: None, rate=1000)
        reader.start()
        until(lambda: sum(batches) > 10)
        lined_up = len(batches)
        time.sleep(2.5)
        assert len(batches) == lined_up, "pods that are due wait in the schedule, not in a queue that grows"
        reader.stop()
        hang.set()
        reader.join(10)
        assert not reader.is_alive()


def test_a_pod_is_told_when_it_got_on_and_is_forgotten_when_it_ended() -> None:
    cache, changed, logs = Caches().pods, list[Key](), [line(1), line(1), line(2)]

    def play(_asked: Asked, answer: Answer) -> None:
        answer.text(logs.pop(0) + "\n")

    cache.put(pod(1))
    with playing(play) as server:
        reader = ProgressReader(server.api(), cache, changed.append, rate=25)
        for _ in range(3):
            reader.read(("a", "p1"))
        assert changed == [("a", "r1"), ("a", "r1")], "the same again is not news"
        assert {uid: progress.done for uid, progress in reader.known.items()} == {"u1": 2}
        assert [(call.path, call.query.get("container")) for call in server.asked] == [
            ("/api/v1/namespaces/a/pods/p1/log", "stage")
        ] * 3
        assert ["sinceSeconds" in call.query for call in server.asked] == [False, True, True]
        cache.put({**pod(1, "terminated"), "metadata": {**pod(1)["metadata"], "resourceVersion": "2"}})
        reader.read(("a", "p1"))
        assert len(server.asked) == 3
        reader.take_due(100.0)
        assert reader.known == {}


def test_a_pod_that_does_not_answer_is_asked_less_and_less_often() -> None:
    cache = Caches().pods
    cache.put(pod(1))
    answers = [False]

    def play(_asked: Asked, answer: Answer) -> None:
        answer.text(line(1)) if answers[0] else answer.refuse(500, "InternalError")

    with playing(play) as server:
        reader = ProgressReader(server.api(), cache, lambda _key: None, rate=25)
        for _ in range(640):
            reader.read(("a", "p1"))
        silent = len(server.asked)
        assert 6 < silent < 80, "about 25 are expected: five that become rarer, then every 32nd"
        answers[0] = True
        while not reader.known:
            reader.read(("a", "p1"))
        before = len(server.asked)
        for _ in range(10):
            reader.read(("a", "p1"))
        assert len(server.asked) == before + 10, "it answers again, and is asked each time"


def test_a_read_that_hangs_is_seen_and_one_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, over, counted = Caches().pods, threading.Event(), list[str]()
    for number in range(3):
        cache.put(pod(number))

    def read(key: Key) -> None:
        if key[1] == "p0":
            over.wait(20)
        raise RecursionError

    with playing(lambda _asked, answer: answer.refuse(404, "NotFound")) as server:
        reader = ProgressReader(server.api(), cache, lambda _key: None, rate=25, count=counted.append)
        monkeypatch.setattr(reader, "read", read)
        monkeypatch.setattr(progress, "FIRST", (0.0, 1.0))
        reader.silent = 1.5
        reader.start()
        assert until(reader.wrong) == ["progress has read pod a/p0 for 2 s"]
        assert counted == ["progress"] * 2
        assert reader.is_alive()
        over.set()
        reader.stop()
        reader.join(5)
        assert not reader.is_alive()
