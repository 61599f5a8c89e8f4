"""Prometheus metrics. Base units; no request, pod or uid in a label. docs/reference lists them."""

from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import tunesmith
from tunesmith.wire import PLURAL
from tunesmith_controller.caches import Caches
from tunesmith_controller.decide.model import Decision, Object

_RECONCILE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_QUEUE_SECONDS = (0.001, 0.01, 0.1, 1, 5, 10, 30, 60, 300)
_STAGE_SECONDS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400, 259_200)
# Kinds of threads; `listener` is a reflector that tells what has changed.
THREADS = (
    "worker",
    "ticker",
    "reflector-trainingrequests",
    "reflector-jobs",
    "reflector-pods",
    "listener",
    "events",
    "progress",
    "elector",
    "lease-watch",
    "health",
)


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each, which nobody reads
        self.registry = registry = CollectorRegistry()
        self.reconcile = Counter(
            "tunesmith_reconcile", "Looks at a request, by how they ended.", ["result"], registry=registry
        )
        self.reconcile_seconds = Histogram(
            "tunesmith_reconcile_seconds",
            "How long a look at a request took, calls included.",
            buckets=_RECONCILE_SECONDS,
            registry=registry,
        )
        self.queue_depth = Gauge(
            "tunesmith_queue_depth", "Requests that are due to be looked at.", registry=registry
        )
        self.queue_latency = Histogram(
            "tunesmith_queue_latency_seconds",
            "How late a request was looked at.",
            buckets=_QUEUE_SECONDS,
            registry=registry,
        )
        self.watch_restarts = Counter(
            "tunesmith_watch_restarts",
            "Watches that ended; `ended` is normal.",
            ["kind", "reason"],
            registry=registry,
        )
        self.relists = Counter("tunesmith_relists", "Whole lists fetched.", ["kind"], registry=registry)
        self.leader = Gauge(
            "tunesmith_leader", "1 for the replica that works, 0 for the others.", registry=registry
        )
        self.stage_seconds = Histogram(
            "tunesmith_stage_duration_seconds",
            "Seconds of the attempt that finished a stage.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self.stage_failures = Counter(
            "tunesmith_stage_failures", "Stages that failed for good.", ["stage", "reason"], registry=registry
        )
        self.api_requests = Counter(
            "tunesmith_api_requests",
            "Calls to the API server; code `none`: no answer.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self.crd_missing_fields = Gauge(
            "tunesmith_crd_missing_fields",
            "Fields that the installed CustomResourceDefinition lacks.",
            registry=registry,
        )
        self.internal_errors = Counter(
            "tunesmith_internal_errors",
            "Requests that were given up because of a bug in the controller.",
            registry=registry,
        )
        self.thread_errors = _thread_errors(registry)
        self.leader.set(0)
        Info("tunesmith_build", "Version.", registry=registry).info({"version": tunesmith.__version__})

    def watch_caches(self, caches: Caches, depth: Callable[[], int], profiles: Collection[str]) -> None:
        """Adds gauges that are computed from the caches when they are read.

        `profiles`: the existing ones; users may write any name.
        """
        self.queue_depth.set_function(depth)
        self.registry.register(_InCaches(caches, profiles))

    def survived(self, kind: str) -> None:
        """Counts an exception that a thread of this kind has survived."""
        self.thread_errors.labels(kind).inc()

    def called(self, verb: str, resource: str, code: str) -> None:
        """Counts a call to the API server."""
        self.api_requests.labels(verb, resource, code).inc()

    def decided(self, request: Object, decision: Decision) -> None:
        """Counts what has newly finished and newly failed, once a decision is carried out."""
        status = request.get("status") or {}
        known = {(row["stage"], row["key"]) for row in status.get("finished") or ()}
        for row in decision.status.finished:
            if (row.stage, row.key) not in known and row.seconds > 0:
                self.stage_seconds.labels(row.stage).observe(row.seconds)
        failed = {
            (row["name"], row.get("attempt"))
            for row in status.get("stages") or ()
            if row.get("phase") == "Failed"
        }
        for stage in decision.status.stages:
            if stage.phase == "Failed" and (stage.name, stage.attempt) not in failed:
                self.stage_failures.labels(stage.name, stage.reason or "Unknown").inc()


def _thread_errors(registry: CollectorRegistry) -> Counter:
    """The counter, with a 0 for each kind of thread: without one, an alert would miss the first exception."""
    errors = Counter(
        "tunesmith_thread_errors",
        "Exceptions that nobody expected and that a thread has survived.",
        ["thread"],
        registry=registry,
    )
    for kind in THREADS:
        errors.labels(kind)
    return errors


class _InCaches(Collector):
    def __init__(self, caches: Caches, profiles: Collection[str]) -> None:
        self._caches = caches
        self._profiles = profiles

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        sizes = GaugeMetricFamily("tunesmith_cache_objects", "Objects in the cache.", labels=["kind"])
        caches = {PLURAL: self._caches.requests, "jobs": self._caches.jobs, "pods": self._caches.pods}
        for kind, cache in caches.items():
            sizes.add_metric([kind], len(cache))
        yield sizes
        tally = Tally((one.phase, self._known(one.profile)) for one in self._caches.standings())
        requests = GaugeMetricFamily(
            "tunesmith_requests", "Requests by phase and profile.", labels=["phase", "profile"]
        )
        for (phase, profile), count in sorted(tally.items()):
            requests.add_metric([phase, profile], count)
        yield requests

    def _known(self, profile: str) -> str:
        return profile if profile in self._profiles else "unknown"
