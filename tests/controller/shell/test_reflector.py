"""The reflector against a server that misbehaves: what it asks, how often, and what its cache then holds."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from controller.shell.played_server import Answer, Asked, playing, until

from tunesmith_controller.cache import Cache
from tunesmith_controller.decide.objects import UNREADABLE, owner_uids
from tunesmith_controller.reflector import (
    FIRST_PAGE,
    LARGEST_PAGE,
    PAGE_BYTES,
    Clock,
    Observer,
    Reflector,
    next_limit,
)
from tunesmith_controller.rights import JOBS
from tunesmith_controller.trim import trim_job

# A tenth of the built-in times (and less for silence), so that one second here is ten seconds there.
FAST = Clock(watch=(2.0, 2.5), silence=0.4, list_read=0.5, backoff=(0.05, 3.0), healthy=0.5)


def job(name: str, version: int, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "a", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}, "status": {}, **more}


class Cluster:
    """Answers lists with what it holds; watches with what `watch` does."""

    def __init__(self, *items: dict[str, Any], watch: Any = None) -> None:
        self.items, self.version, self.watch, self.watches = list(items), 100, watch, 0

    def __call__(self, asked: Asked, answer: Answer) -> None:
        if asked.query.get("watch"):
            self.watches += 1
            if self.watch:
                self.watch(self, asked, answer)
            else:
                answer.begin()
                time.sleep(3)
            return
        start, limit = int(asked.query.get("continue") or 0), int(asked.query["limit"])
        more = str(start + limit) if start + limit < len(self.items) else ""
        items = [
            {name: value for name, value in item.items() if name not in ("apiVersion", "kind")}
            for item in self.items
        ]
        answer.json(
            {
                "kind": "JobList",
                "apiVersion": "batch/v1",
                "metadata": {"resourceVersion": str(self.version), **({"continue": more} if more else {})},
                "items": items[start : start + limit],
            }
        )


class Watched:
    """A running reflector, the changes that it reported and what it counted."""

    def __init__(self, server: Any, clock: Clock = FAST) -> None:
        self.cache = Cache(trim_job, {"owner": owner_uids})
        self.changes: list[tuple[str | None, str | None]] = []
        self.cache.changed = lambda before, after: self.changes.append((_version(before), _version(after)))
        self.restarts: list[str] = []
        self.failed: list[str] = []
        self.lists = 0
        self.reflector = Reflector(
            server.api(),
            JOBS,
            self.cache,
            clock=clock,
            observer=Observer(self.restarts.append, self._listed, self.failed.append),
        )
        self.reflector.start()

    def names(self) -> list[str]:
        return sorted(item["metadata"]["name"] for item in self.cache.all())

    def _listed(self) -> None:
        self.lists += 1


def _version(item: Any) -> str | None:
    return None if item is None else f"{item['metadata']['name']}@{item['metadata']['resourceVersion']}"


@pytest.fixture
def started() -> Iterator[list[Watched]]:
    """Stops the reflectors that a test started."""
    all_of_them: list[Watched] = []
    yield all_of_them
    for each in all_of_them:
        each.reflector.stop()
    for each in all_of_them:
        each.reflector.join(0.5)


def forbidden(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.refuse(403, "Forbidden")


def gone_at_once(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.refuse(410, "Expired")


def gone_in_the_stream(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.begin()
    answer.event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    answer.end()


def server_error(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.refuse(500, "InternalError")


def ends_at_once(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.begin()
    answer.end()


def cut_at_once(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.begin()
    answer.cut()


def silent(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.begin()
    time.sleep(3)


def half_a_line(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.begin()
    answer.chunk(b'{"type":"ADDED","object":{"metadata":{"na')
    answer.cut()


def no_json(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.begin()
    answer.chunk(b"<html>a proxy's page</html>\n")
    answer.end()


def too_new(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.refuse(504, "Timeout")


def throttled(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.refuse(429, "TooManyRequests")


def throttled_for_a_second(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.refuse(429, "TooManyRequests", {"Retry-After": "1"})


def throttled_until_a_date(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.refuse(429, "TooManyRequests", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})


def no_text(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
    answer.begin()
    answer.chunk(b"\xff\xfe\x00\n")
    answer.end()


# The answer to each watch -> reason that is counted, most requests in ten of its seconds
FAILURES = {
    "403": (forbidden, "403"),
    "410 at once": (gone_at_once, "gone"),
    "410 in the stream": (gone_in_the_stream, "gone"),
    "500": (server_error, "500"),
    "an end at once": (ends_at_once, "ended"),
    "a cut at once": (cut_at_once, "unreachable"),
    "silence": (silent, "unreachable"),
    "half a line of JSON": (half_a_line, "unreachable"),
    "a line that is not JSON": (no_json, "unreachable"),
    "a line that is not even text": (no_text, "unreachable"),
    "504, as to a version that is still to come": (too_new, "504"),
    "429 without a time": (throttled, "429"),
    "429 with a time": (throttled_for_a_second, "429"),
    "429 with a date": (throttled_until_a_date, "429"),
}


@pytest.mark.parametrize(("watch", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_server_that_fails_each_watch_is_asked_ten_times_in_ten_seconds_at_most(
    watch: Any, reason: str, started: list[Watched]
) -> None:
    with playing(Cluster(job("one", 1), watch=watch)) as server:
        seen = Watched(server)
        started.append(seen)
        time.sleep(1.0)
        requests, restarts = len(server.asked), list(seen.restarts)
        assert 2 <= requests <= 14, (
            f"{requests} requests"
        )  # 7 of list and watch each at the most: .05 .1 .2 .4 .8, each halved by chance
        assert set(restarts) == {reason}
        assert seen.names() == ["one"], "what is known must stay known while the watch fails"
        assert seen.reflector.is_alive()


def test_an_event_that_was_cut_is_asked_for_again_from_the_last_version_seen(started: list[Watched]) -> None:
    def watch(cluster: Cluster, asked: Asked, answer: Answer) -> None:
        answer.begin()
        if cluster.watches == 1:
            cluster.version = 102
            answer.event("ADDED", job("two", 101))
            answer.chunk(b'{"type":"MODIFIED","object":{"metadata":{"name":"two","resourceVer')
            answer.cut()
        elif asked.query["resourceVersion"] == "101":
            answer.event("MODIFIED", job("two", 102))
            time.sleep(2)

    with playing(Cluster(job("one", 1), watch=watch)) as server:
        seen = Watched(server)
        started.append(seen)
        until(lambda: (None, "two@101") in seen.changes and ("two@101", "two@102") in seen.changes)
        watches = [call.query["resourceVersion"] for call in server.asked if "watch" in call.query]
        assert watches[:2] == ["100", "101"]
        assert seen.lists == 1, "a cut is not a reason to list again"


def test_a_server_that_was_restored_from_an_older_snapshot_is_followed(started: list[Watched]) -> None:
    """Its watches from a version that it does not have yet are silent, for as long as that takes."""
    restored = threading.Event()

    def watch(cluster: Cluster, asked: Asked, answer: Answer) -> None:
        if cluster.watches == 1:
            answer.begin()
            answer.event("ADDED", job("young", 150))
            answer.event("MODIFIED", job("old", 151))
            until(restored.is_set)
            cluster.items, cluster.version = [job("old", 5), job("gone", 6)], 60
            answer.cut()
        elif asked.query["resourceVersion"] == "60":
            answer.begin()
            answer.event("MODIFIED", job("old", 61))
            time.sleep(2)
        else:
            answer.begin()
            time.sleep(2)

    with playing(Cluster(job("old", 5), job("gone", 6), watch=watch)) as server:
        seen = Watched(server)
        started.append(seen)
        until(lambda: seen.names() == ["gone", "old", "young"])
        seen.cache.remove(job("gone", 6))  # and was deleted before the server went back
        restored.set()
        until(lambda: ("old@5", "old@61") in seen.changes)
        assert seen.changes[-4:] == [
            ("old@151", "old@5"),
            (None, "gone@6"),
            ("young@150", None),
            ("old@5", "old@61"),
        ]
        answer = job("gone", 70)
        seen.cache.put_answer(answer)
        assert seen.cache.get(("a", "gone")) == trim_job(answer), "its uid is not that of a dead object"


@pytest.mark.parametrize(
    ("each", "limits"),
    [
        (5_000, [80, 209, 209]),
        (500, [80, 500, 500]),
        (600_000, [1, 1, 1]),
        (30_000, [34, 34, 34]),
        (0, [80, 500, 500]),
    ],
)
def test_a_page_holds_as_many_objects_as_are_about_a_mebibyte(each: int, limits: list[int]) -> None:
    asked, limit = [], FIRST_PAGE
    for _ in limits:
        limit = next_limit(limit, each * limit)
        asked.append(limit)
    assert asked == limits
    assert max(asked) <= LARGEST_PAGE
    assert all(number == 1 or number * each <= PAGE_BYTES for number in asked)


DEEP = '{"a": ' * 5000 + "1" + "}" * 5000


def unread(name: str, version: int) -> bytes:
    """The text of a Job that no parser here can read."""
    return json.dumps(job(name, version, spec={"deep": "HERE"})).replace('"HERE"', DEEP).encode()


def test_an_object_that_cannot_be_read_costs_the_others_nothing_in_a_list_and_in_a_watch(
    started: list[Watched],
) -> None:
    def play(asked: Asked, answer: Answer) -> None:
        if not asked.query.get("watch"):
            items = b", ".join([json.dumps(job("one", 1)).encode(), unread("bad", 2)])
            answer.raw(b'{"metadata": {"resourceVersion": "100"}, "items": [' + items + b"]}")
            return
        answer.begin()
        for version in range(101, 131):  # somebody edits it again and again
            answer.chunk(b'{"type": "MODIFIED", "object": ' + unread("bad", version) + b"}\n")
        answer.event("ADDED", job("two", 131))
        answer.chunk(b'{"type": "DELETED", "object": ' + unread("bad", 132) + b"}\n")
        answer.event("ADDED", job("three", 133))
        time.sleep(3)

    with playing(play) as server:
        seen = Watched(server)
        started.append(seen)
        until(lambda: seen.names() == ["one", "three", "two"])
        assert seen.changes[:3] == [(None, "one@1"), (None, "bad@2"), ("bad@2", "bad@101")]
        assert ("bad@130", None) in seen.changes
        assert len(server.asked) == 2, "one list and one watch"
        assert seen.failed == []


def test_an_object_that_the_cache_cannot_take_is_kept_without_its_spec(started: list[Watched]) -> None:
    owners = [{"uid": "owner"}]
    bad = job("bad", 2, spec={"template": "text"})
    bad["metadata"]["ownerReferences"] = owners
    nameless = {"metadata": {"resourceVersion": "3"}}

    def watch(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
        answer.begin()
        answer.event("MODIFIED", {**bad, "metadata": {**bad["metadata"], "resourceVersion": "102"}})
        answer.event("ADDED", {"metadata": {"resourceVersion": "103"}})
        answer.event("ADDED", job("two", 104))
        time.sleep(2)

    with playing(Cluster(job("one", 1), bad, nameless, watch=watch)) as server:
        seen = Watched(server)
        started.append(seen)
        until(lambda: seen.names() == ["bad", "one", "two"])
        assert ("bad@2", "bad@102") in seen.changes
        kept = seen.cache.get(("a", "bad"))
        assert kept is not None
        assert kept[UNREADABLE] == {"spec": "cannot be handled (AttributeError)"}
        assert [item["metadata"]["name"] for item in seen.cache.by("owner", "owner")] == ["bad"]
        assert (seen.lists, set(seen.failed)) == (1, {"reflector-jobs"})


def test_a_list_with_an_object_without_a_name_removes_nothing(started: list[Watched]) -> None:
    def watch(cluster: Cluster, _asked: Asked, answer: Answer) -> None:
        cluster.items = [{"metadata": {}}]
        answer.refuse(410, "Expired")

    with playing(Cluster(job("one", 1), watch=watch)) as server:
        seen = Watched(server)
        started.append(seen)
        until(lambda: seen.lists >= 2)
        assert seen.names() == ["one"]


def test_an_outage_of_a_day_does_not_end_the_thread() -> None:
    waits: list[float] = []
    with playing(Cluster(watch=server_error)) as server:
        reflector = Reflector(server.api(), JOBS, Cache(trim_job), clock=FAST)
        reflector.stopped.wait = lambda timeout=None: bool(waits.append(timeout))  # type: ignore[method-assign]
        reflector._failures = 2000  # 0.05 * 2 ** 1100 would be an error
        reflector.step()
    assert 1.5 <= waits[0] <= 3.0


def test_a_retry_after_of_years_is_not_obeyed() -> None:
    waits: list[float] = []

    def watch(_cluster: Cluster, _asked: Asked, answer: Answer) -> None:
        answer.refuse(429, "TooManyRequests", {"Retry-After": "999999999"})

    with playing(Cluster(watch=watch)) as server:
        reflector = Reflector(server.api(), JOBS, Cache(trim_job), clock=FAST)
        reflector.stopped.wait = lambda timeout=None: bool(waits.append(timeout))  # type: ignore[method-assign]
        reflector.step()
    assert waits == [60.0]


def test_a_bookmark_moves_the_version_that_the_next_watch_begins_at(started: list[Watched]) -> None:
    def watch(cluster: Cluster, _asked: Asked, answer: Answer) -> None:
        answer.begin()
        if cluster.watches == 1:
            answer.event("BOOKMARK", {"kind": "Job", "metadata": {"resourceVersion": "777"}})
            answer.end()
        else:
            time.sleep(2)

    with playing(Cluster(watch=watch)) as server:
        seen = Watched(server)
        started.append(seen)
        until(lambda: len(server.asked) >= 3)
        assert server.asked[2].query["resourceVersion"] == "777"
        assert all(call.query["allowWatchBookmarks"] == "true" for call in server.asked[1:])
        assert seen.changes == []


def test_what_was_deleted_while_the_version_was_lost_is_told_as_deleted(started: list[Watched]) -> None:
    def watch(cluster: Cluster, _asked: Asked, answer: Answer) -> None:
        if cluster.watches == 1:
            cluster.items, cluster.version = [job("two", 150), job("three", 151)], 160
            answer.refuse(410, "Expired")
        else:
            answer.begin()
            time.sleep(2)

    with playing(Cluster(job("one", 1), job("two", 2), watch=watch)) as server:
        seen = Watched(server)
        started.append(seen)
        until(lambda: seen.lists == 2)
        assert seen.changes == [
            (None, "one@1"),
            (None, "two@2"),
            ("two@2", "two@150"),
            (None, "three@151"),
            ("one@1", None),
        ]
        assert seen.names() == ["three", "two"]


def test_a_long_list_comes_in_pages_and_each_item_knows_its_kind(started: list[Watched]) -> None:
    with playing(Cluster(*(job(f"j{number:04}", number + 1) for number in range(1201)))) as server:
        seen = Watched(server, Clock(list_read=5))
        started.append(seen)
        assert seen.reflector.synced.wait(10)
        assert len(seen.cache) == 1201
        assert [call.query.get("continue") for call in server.asked if "watch" not in call.query] == [
            None,
            "10",
            "90",
            "590",
            "1090",
        ]
        assert {(item["apiVersion"], item["kind"]) for item in seen.cache.all()} == {("batch/v1", "Job")}


def test_a_page_that_has_expired_starts_the_list_again(started: list[Watched]) -> None:
    cluster = Cluster(*(job(f"j{number:04}", number + 1) for number in range(700)))
    expired = threading.Event()

    def play(asked: Asked, answer: Answer) -> None:
        if asked.query.get("continue") and not expired.is_set():
            expired.set()
            answer.refuse(410, "Expired")
        else:
            cluster(asked, answer)

    with playing(play) as server:
        seen = Watched(server, Clock(list_read=5, backoff=(0.05, 1)))
        started.append(seen)
        assert seen.reflector.synced.wait(10)
        assert len(seen.cache) == 700


def test_429_is_repeated_after_the_time_that_it_asks_for(started: list[Watched]) -> None:
    cluster, refused = Cluster(job("one", 1)), threading.Event()

    def play(asked: Asked, answer: Answer) -> None:
        if not refused.is_set():
            refused.set()
            answer.refuse(429, "TooManyRequests", {"Retry-After": "1"})
        else:
            cluster(asked, answer)

    with playing(play) as server:
        seen = Watched(server)
        started.append(seen)
        assert seen.reflector.synced.wait(5)
        assert server.asked[1].at - server.asked[0].at >= 1.0


def test_an_end_after_events_is_normal_and_is_followed_at_once(started: list[Watched]) -> None:
    def watch(cluster: Cluster, _asked: Asked, answer: Answer) -> None:
        answer.begin()
        if cluster.watches <= 5:
            answer.event("MODIFIED", job("one", 100 + cluster.watches))
            answer.end()
        else:
            time.sleep(2)

    with playing(Cluster(job("one", 1), watch=watch)) as server:
        seen = Watched(server, Clock(watch=(2, 2), silence=2, backoff=(30, 30)))
        started.append(seen)
        until(lambda: seen.restarts == ["ended"] * 5, 5)
        assert seen.changes[-1] == ("one@104", "one@105")


def test_the_client_asks_for_one_namespace_and_one_label_only() -> None:
    with playing(Cluster()) as server:
        reflector = Reflector(
            server.api(), JOBS, Cache(trim_job), namespace="team", selector="a=b", clock=FAST
        )
        reflector.start()
        until(lambda: len(server.asked) >= 2)
        reflector.stop()
        assert {(call.path, call.query["labelSelector"]) for call in server.asked} == {
            ("/apis/batch/v1/namespaces/team/jobs", "a=b")
        }
