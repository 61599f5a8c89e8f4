"""Leader election: two replicas, and a small server that keeps a Lease like the API server and goes away."""

import threading
import time
from typing import Any

from controller.shell.played_server import Answer, Asked, playing, until

from tunesmith_controller.lease import Elector, Times

TIMES = Times(duration=3.0, renew=1.5, retry=0.2)


class Leases:
    """One Lease with optimistic concurrency.

    `down`: it answers nothing any more, and closes no connection either.
    """

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.down = threading.Event()
        self.lock = threading.Lock()
        self.holders: list[str] = []

    def __call__(self, asked: Asked, answer: Answer) -> None:
        if self.down.is_set():
            time.sleep(8)
            return
        with self.lock:
            if asked.method == "GET":
                if self.lease is None:
                    answer.refuse(404, "NotFound")
                else:
                    answer.json(self.lease)
            elif asked.method == "POST" and self.lease is not None:
                answer.refuse(409, "AlreadyExists")
            elif asked.method == "PUT" and (
                self.lease is None
                or asked.body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]
            ):
                answer.refuse(409, "Conflict")
            else:
                self.version += 1
                self.lease = {
                    **asked.body,
                    "metadata": {**asked.body["metadata"], "resourceVersion": str(self.version)},
                }
                self.holders.append(self.lease["spec"]["holderIdentity"])
                answer.json(self.lease, 201 if asked.method == "POST" else 200)


class Replica:
    """An elector with what it was told, and when."""

    def __init__(self, api: Any, name: str) -> None:
        self.calls: list[tuple[str, float]] = []
        self.elector = Elector(
            api,
            namespace="ns",
            name="tunesmith-controller",
            identity=name,
            won=lambda: self.calls.append(("won", time.monotonic())),
            lost=lambda: self.calls.append(("lost", time.monotonic())),
            times=TIMES,
        )
        self.elector.start()

    def when(self, what: str) -> float | None:
        return next((at for name, at in self.calls if name == what), None)


def test_one_of_two_replicas_leads_and_the_other_takes_over_at_once_after_a_release() -> None:
    leases = Leases()
    with playing(leases) as server:
        first = Replica(server.api(), "first")
        until(lambda: first.when("won"))
        second = Replica(server.api(), "second")
        time.sleep(TIMES.duration + 1)
        assert (first.elector.leading, second.elector.leading) == (True, False), (
            "a lease that is renewed is not taken"
        )
        released = time.monotonic()
        first.elector.release()
        assert not first.elector.leading
        taken = until(lambda: second.when("won"))
        assert taken - released < TIMES.renew, "a released lease need not run out"
        assert leases.lease is not None
        assert leases.lease["spec"]["leaseTransitions"] == 1
        assert first.when("lost") is None, "a clean stop is not a loss"
        second.elector.release()


def test_a_leader_without_api_server_is_told_so_before_its_lease_ends() -> None:
    leases = Leases()
    with playing(leases) as server:
        first = Replica(server.api(), "first")
        until(lambda: first.when("won"))
        time.sleep(0.5)
        renewals_until = [one.at for one in server.asked if one.method in ("PUT", "POST")][-1]
        leases.down.set()  # from here on calls hang
        lost = until(lambda: first.when("lost"), 6)
        last = [one.at for one in server.asked if one.method in ("PUT", "POST") and one.at <= lost]
        assert lost - max(renewals_until, *last[:1]) < TIMES.duration
        assert lost - renewals_until < TIMES.renew + TIMES.retry + 0.4
        assert not first.elector.leading
        leases.down.clear()
        time.sleep(1)
        assert [name for name, _ in first.calls] == ["won", "lost"], (
            "who lost it does not lead again: the process ends"
        )


def test_the_lease_of_a_replica_that_died_is_taken_once_it_has_run_out_and_not_before() -> None:
    leases = Leases()
    dead = {
        "holderIdentity": "dead",
        "leaseDurationSeconds": 3,
        "renewTime": "2001-01-01T00:00:00.000000Z",
        "leaseTransitions": 4,
    }
    leases.lease = {
        "metadata": {"name": "tunesmith-controller", "namespace": "ns", "resourceVersion": "0"},
        "spec": dead,
    }
    with playing(leases) as server:
        begun = time.monotonic()
        second = Replica(server.api(), "second")
        won = until(lambda: second.when("won"))
        assert 3.0 <= won - begun < 4.5, "times in the lease are somebody else's clock"
        assert leases.lease["spec"]["leaseTransitions"] == 5
        second.elector.release()


def test_of_many_replicas_that_start_together_one_leads() -> None:
    leases = Leases()
    with playing(leases) as server:
        replicas = [Replica(server.api(), f"r{number}") for number in range(6)]
        until(lambda: any(one.elector.leading for one in replicas))
        time.sleep(1)
        assert sum(one.elector.leading for one in replicas) == 1
        assert len(set(leases.holders)) == 1
        for one in replicas:
            one.elector.release()


def test_a_leader_that_sees_another_holder_gives_up_at_once() -> None:
    leases = Leases()
    with playing(leases) as server:
        first = Replica(server.api(), "first")
        until(lambda: first.when("won"))
        with leases.lock:
            assert leases.lease is not None
            spec = {**leases.lease["spec"], "holderIdentity": "usurper"}
            leases.lease = {"metadata": {**leases.lease["metadata"], "resourceVersion": "999"}, "spec": spec}
        until(lambda: first.when("lost"), 1.5)
        assert not first.elector.leading


def test_a_leader_that_takes_long_to_begin_keeps_its_lease_meanwhile() -> None:
    with playing(Leases()) as server:
        begun, lost = threading.Event(), threading.Event()
        elector = Elector(
            server.api(),
            namespace="ns",
            name="lease",
            identity="slow",
            won=lambda: begun.wait(4) and None,
            lost=lost.set,
            times=TIMES,
        )
        elector.start()
        until(lambda: elector.leading)
        time.sleep(TIMES.duration)
        assert (elector.leading, lost.is_set()) == (True, False)
        begun.set()
        elector.release()


class BrokenApi:
    """An API client with a fault of its own, as long as `broken` is set."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self.broken = threading.Event()

    def send(self, *arguments: Any, **options: Any) -> Any:
        if self.broken.is_set():
            raise RuntimeError("the token file is empty")
        return self._api.send(*arguments, **options)


def test_a_standby_outlives_a_call_that_fails_in_its_own_code() -> None:
    with playing(Leases()) as server:
        api = BrokenApi(server.api())
        api.broken.set()
        standby = Replica(api, "standby")
        time.sleep(3 * TIMES.retry)
        assert standby.when("won") is None
        api.broken.clear()
        until(lambda: standby.when("won"))
        standby.elector.release()


def test_a_release_during_a_renewal_still_releases() -> None:
    leases, slow = Leases(), threading.Event()

    def play(asked: Asked, answer: Answer) -> None:
        if asked.method == "PUT" and asked.body["spec"]["holderIdentity"] and leases.holders:
            slow.set()
            time.sleep(0.2)
        leases(asked, answer)

    with playing(play) as server:
        first = Replica(server.api(), "first")
        assert slow.wait(5)
        first.elector.release()
        assert leases.lease is not None
        assert leases.lease["spec"]["holderIdentity"] == ""
