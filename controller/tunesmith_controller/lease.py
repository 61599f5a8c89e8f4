"""Leader election by a Lease: one replica works, the others keep their caches warm.

Each replica goes by its own monotonic clock: another's lease has expired once it has not *changed* for its
duration, whatever time is written in it. The leader gives up `renew` seconds after its last success, so it
has `duration - renew` seconds to end before another replica may start. A thread of its own watches that,
because a call can hang for longer than its timeout (a name server that does not answer).
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tunesmith_controller.api import AlreadyExists, Api, ApiError, Call, NotFound, Timeout, Unreachable
from tunesmith_controller.rights import LEASES
from tunesmith_controller.threads import Count, Lasting

log = logging.getLogger(__name__)

HUNG = 60.0  # seconds without a sign of life after which a thread of the elector hangs


@dataclass(frozen=True)
class Times:
    """Seconds, as in client-go: how long a lease holds, how long its holder tries to renew it, how often."""

    duration: float = 15.0
    renew: float = 10.0
    retry: float = 2.0


@dataclass
class _Seen:
    """The lease as it last changed, and when this replica saw that."""

    version: str = ""
    at: float = 0.0
    spec: dict[str, Any] = field(default_factory=dict)


class Watch(Lasting):
    """Gives the lease up in time, also while a call of the elector hangs."""

    def __init__(self, elector: "Elector", count: Count) -> None:
        super().__init__("lease-watch", count=count, silent=HUNG)
        self._elector = elector

    def step(self) -> None:
        """One look at the time that is left, and a wait."""
        if not self._elector.watch_over():
            self.stopped.set()


class Elector(Lasting):
    """Holds a lease or waits for it.

    `won` is called once, `lost` at most once after it, each from a thread of the elector.
    """

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        name: str,
        identity: str,
        won: Callable[[], None],
        lost: Callable[[], None],
        times: Times = Times(),
        clock: Callable[[], float] = time.monotonic,
        count: Count = lambda _kind: None,
    ) -> None:
        super().__init__("elector", count=count, silent=HUNG)
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._won = won
        self._lost = lost
        self._times = times
        self._clock = clock
        self._seen = _Seen()
        self._renewed = float("-inf")  # when the last call that succeeded was begun
        self._holds = False
        self._watch: Watch | None = None  # since the lease was won
        self._over = threading.Lock()

    @property
    def leading(self) -> bool:
        """Whether this replica may write: no other one can hold the lease now."""
        return self._holds and self._clock() < self._renewed + self._times.renew

    def step(self) -> None:
        """Tries to take the lease, or to keep it until it is lost or `release` is called; then waits."""
        holds = self._try()
        if self.stopped.is_set():
            return
        if holds and self._watch is None:
            self._begin()
        elif not holds and self._watch is not None and self._taken():
            self._lose("another replica holds the lease")
        self.stopped.wait(self._times.retry)

    def wrong(self) -> list[str]:
        """What is wrong with its threads."""
        return super().wrong() + (self._watch.wrong() if self._watch is not None else [])

    def _begin(self) -> None:
        log.info("leading as %s", self._identity)
        watch = Watch(self, self.count)
        watch.start()
        # `won` waits for the caches, and the lease must not wait for it.
        threading.Thread(target=self._won, name="won", daemon=True).start()
        self._watch = watch

    def release(self) -> None:
        """Stops, and lets another replica start at once. Nothing may be written after this call."""
        self.stopped.set()
        if threading.current_thread() is not self and self.is_alive():
            self.join(self._times.renew)
        with self._over:
            held = self._holds
            self._holds = False
        if not held:
            return
        try:
            lease = self._send(Call("get", LEASES, self._namespace, self._name))
            if lease.get("spec", {}).get("holderIdentity") == self._identity:
                spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                self._send(Call("update", LEASES, self._namespace, self._name, body={**lease, "spec": spec}))
                log.info("the lease is released")
        except (ApiError, Unreachable) as error:
            text = "the lease is not released, another replica starts in %d s: %s"
            log.warning(text, self._times.duration, error)

    def watch_over(self) -> bool:
        """Loses the lease when its time is over; waits a moment otherwise. Returns whether to go on."""
        left = self._renewed + self._times.renew - self._clock()
        if left <= 0:
            self._lose(f"not renewed for {self._times.renew:g} s")
        if self.stopped.is_set() or not self._holds:
            return False
        self.stopped.wait(min(left, self._times.retry / 4))
        return True

    def _lose(self, why: str) -> None:
        with self._over:
            held = self._holds
            self._holds = False
            self.stopped.set()  # a call that has begun and succeeds late does not bring the lease back
        if held:
            log.error("the lease is lost: %s", why)
            self._lost()

    def _taken(self) -> bool:
        holder = self._seen.spec.get("holderIdentity")
        return bool(holder) and holder != self._identity

    def _try(self) -> bool:
        """Takes or renews the lease, if this replica holds it, or if it is free or has expired."""
        begun = self._clock()
        try:
            lease = self._send(Call("get", LEASES, self._namespace, self._name))
            self._look(lease, begun)
            if not self._free():
                return False
            body = {**lease, "spec": self._spec(lease["spec"])}
            lease = self._send(Call("update", LEASES, self._namespace, self._name, body=body))
        except NotFound:
            lease = self._create()
        except AlreadyExists:
            return False
        except (ApiError, Unreachable) as error:
            log.info("the lease is neither taken nor renewed: %s", error)
            return False
        except Exception:  # a token file that is empty for a moment, for example: a standby must keep trying
            log.exception("the lease is neither taken nor renewed")
            return False
        if not lease:
            return False
        self._look(lease, begun)
        with self._over:
            self._renewed = begun
            # Once stopped, `release` has to know whether this replica held the lease, or the lease is lost
            # for good.
            if not self.stopped.is_set():
                self._holds = self._holds or self._clock() < begun + self._times.renew
            return self._holds

    def _create(self) -> dict[str, Any]:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec({}),
        }
        try:
            return self._send(Call("create", LEASES, self._namespace, body=body))
        except (ApiError, Unreachable) as error:
            log.info("the lease is not created: %s", error)
            return {}

    def _look(self, lease: dict[str, Any], at: float) -> None:
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen.version:
            self._seen = _Seen(version, at, lease.get("spec") or {})

    def _free(self) -> bool:
        if not self._taken():
            return True
        duration = float(self._seen.spec.get("leaseDurationSeconds") or self._times.duration)
        return self._clock() > self._seen.at + duration

    def _spec(self, before: dict[str, Any]) -> dict[str, Any]:
        now = _now()
        renewed = before.get("holderIdentity") == self._identity
        transitions = int(before.get("leaseTransitions") or 0)
        if before and not renewed:
            transitions += 1
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, int(self._times.duration)),
            "acquireTime": before.get("acquireTime", now) if renewed else now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    def _send(self, call: Call) -> dict[str, Any]:
        # Two calls, each connecting and reading, end before the lease is given up.
        seconds = max(0.1, self._times.renew / 4)
        return self._api.send(call, Timeout(seconds, seconds), urgent=True)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
