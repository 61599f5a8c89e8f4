"""`tunesmith-controller`: connects the parts, and ends them in the right order."""

import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from uuid import uuid4

from kubernetes.config import ConfigException

import tunesmith
from tunesmith.errors import BadRequest
from tunesmith.wire import MANAGED_BY, MANAGER
from tunesmith_controller import health, logs
from tunesmith_controller.api import Api, connect
from tunesmith_controller.cache import Cache, Key
from tunesmith_controller.caches import Caches
from tunesmith_controller.config import read_config
from tunesmith_controller.decide.model import Config
from tunesmith_controller.decide.reconcile import reconcile
from tunesmith_controller.event_reader import EventReader
from tunesmith_controller.event_writer import EventWriter
from tunesmith_controller.executor import Executor
from tunesmith_controller.installed import check_installed
from tunesmith_controller.lease import Elector
from tunesmith_controller.loop import Loop, Parts, Reconcile
from tunesmith_controller.metrics import Metrics
from tunesmith_controller.options import Options, parse_options
from tunesmith_controller.progress import ProgressReader
from tunesmith_controller.queue import WorkQueue
from tunesmith_controller.rate import TokenBucket
from tunesmith_controller.reflector import Observer, Reflector
from tunesmith_controller.rights import JOBS, PODS, REQUESTS, Resource
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.threads import Lasting
from tunesmith_controller.turns import Turns
from tunesmith_controller.world import Sources

log = logging.getLogger(__name__)

# New objects after which Python looks for reference cycles while the caches are filled. JSON has none, and
# each look walks what is new among all that the caches hold: with the built-in 700, that was a third of the
# time of a start.
NEW_OBJECTS = 50_000
USUAL = gc.get_threshold()
JOIN_SECONDS = 20.0  # after SIGTERM, for the looks at requests that have begun


class Process:
    """One replica: its caches are kept from the start, its workers run while it leads.

    A signal may set `stop`.
    """

    def __init__(self, options: Options, config: Config, decide: Reconcile = reconcile) -> None:
        self._options = options
        self.stop = threading.Event()
        self.lost = threading.Event()
        identity = f"{socket.gethostname()}_{uuid4().hex[:8]}"
        self.metrics = metrics = Metrics()
        namespaces = options.namespaces or ("",)
        transport = connect(options.kubeconfig, connections=options.workers + 3 * len(namespaces) + 8)
        bucket = TokenBucket(options.qps, options.burst)
        self._api = api = Api(transport, bucket, observe=metrics.called, stop=self.stop)
        self.caches = caches = Caches()
        self.queue: WorkQueue[Key] = WorkQueue(waited=metrics.queue_latency.observe)
        # A quarter each for Events, for reads of progress and for the writes that these lead to; the rest is
        # for work.
        share = options.qps / 4
        self._events = EventWriter(api, identity, share, count=metrics.survived)
        snapshots = SnapshotReader(api)
        self._progress = ProgressReader(api, caches.pods, self.queue.add, rate=share, count=metrics.survived)
        self._elector = Elector(
            api,
            namespace=options.lease_namespace,
            name=options.lease_name,
            identity=identity,
            won=self._lead,
            lost=self._lose,
            count=metrics.survived,
        )
        self._executor = Executor(api, caches, snapshots, self._events, self._leading)
        parts = Parts(
            sources=Sources(api, caches, snapshots, EventReader(api), self._progress.known),
            queue=self.queue,
            turns=Turns({name: profile.limits for name, profile in config.profiles.items()}),
            executor=self._executor,
            metrics=metrics,
            config=config,
            reconcile=decide,
        )
        self.loop = Loop(parts, options.workers)
        self._reflectors = [
            self._reflector(resource, cache, namespace, selector)
            for namespace in namespaces
            for resource, cache, selector in (
                (REQUESTS, caches.requests, ""),
                (JOBS, caches.jobs, f"{MANAGED_BY}={MANAGER}"),
                (PODS, caches.pods, f"{MANAGED_BY}={MANAGER}"),
            )
        ]
        metrics.watch_caches(caches, self.queue.depth, config.profiles)

    def run(self) -> int:
        """Runs until `stop` is set or the lease is lost; returns the exit code."""
        server = health.serve(
            self._options.metrics_address,
            self.metrics.registry,
            self._dead,
            self._not_ready,
            self.metrics.survived,
        )
        self._executor.unknown = missing = frozenset(check_installed(self._api))
        self.metrics.crd_missing_fields.set(len(missing))
        self.loop.listen()
        self._events.start()
        for reflector in self._reflectors:
            reflector.start()
        if self._options.leader_election:
            self._elector.start()
        else:
            threading.Thread(target=self._lead, name="lead", daemon=True).start()
        if self._wait_for_caches():
            collect_as_usual()
        self.stop.wait()
        if self.lost.is_set():
            return 1
        log.info("stopping")
        self._progress.stop()
        ended = self.loop.stop(JOIN_SECONDS)
        self.metrics.leader.set(0)
        if ended:
            self._elector.release()
        else:  # a worker may still write, so the lease has to expire before another replica works
            log.warning("a look at a request did not end in %d s; the lease is not released", JOIN_SECONDS)
        for reflector in self._reflectors:
            reflector.stop()
        server.shutdown()
        server.server_close()
        log.info("stopped")
        return 0

    def _reflector(self, resource: Resource, cache: Cache, namespace: str, selector: str) -> Reflector:
        restarts, lists = self.metrics.watch_restarts, self.metrics.relists.labels(resource.plural)
        observer = Observer(
            lambda reason: restarts.labels(resource.plural, reason).inc(), lists.inc, self.metrics.survived
        )
        return Reflector(
            self._api, resource, cache, namespace=namespace, selector=selector, observer=observer
        )

    def _lead(self) -> None:
        """Starts to work.

        If that fails, another replica takes over: a leader that does nothing would be the worst case.
        """
        try:
            self._begin()
        except Exception:
            log.exception("the controller cannot start its work")
            self._lose()

    def _begin(self) -> None:
        """Waits for full caches, then works."""
        if not self._wait_for_caches():
            return
        self.metrics.leader.set(1)
        self.loop.start()
        self._progress.start()

    def _wait_for_caches(self) -> bool:
        """Waits until the caches are full; False if the process is to stop."""
        for reflector in self._reflectors:
            while not reflector.synced.wait(0.2):
                if self.stop.is_set():
                    return False
        return not self.stop.is_set()

    def _lose(self) -> None:
        """Ends the process before another replica can hold the lease.

        Looks that have begun are cut off: no write starts now.
        """
        self.metrics.leader.set(0)
        self.lost.set()
        self.stop.set()
        threading.Timer(1.0, os._exit, (1,)).start()

    def _leading(self) -> bool:
        return not self._options.leader_election or self._elector.leading

    def _dead(self) -> list[str]:
        if self.stop.is_set():
            return []
        return [wrong for thread in self.threads() for wrong in thread.wrong()]

    def threads(self) -> list[Lasting]:
        """Every thread that has to live; what its own server answers from shows itself."""
        return [*self._reflectors, self._elector, self._events, self._progress, *self.loop.threads]

    def _not_ready(self) -> list[str]:
        return [
            f"{reflector.name} has not listed yet"
            for reflector in self._reflectors
            if not reflector.synced.is_set()
        ]


def collect_as_usual() -> None:
    """Lets Python look for reference cycles at its own pace, among what is new from now on.

    At the pace of a start, cycles that each request leaves behind would take some MiB an hour.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*USUAL)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Exit codes: 0 stopped, 1 lease lost, 2 wrong command line or configuration."""
    options = parse_options(arguments)
    logs.set_up(options.log_format, options.log_level)
    gc.set_threshold(NEW_OBJECTS)
    try:
        config = read_config(options.config)
        process = Process(options, config)
    except (BadRequest, ConfigException) as error:
        log.error("%s", error)  # noqa: TRY400 (a mistake in a file needs no traceback)
        for problem in getattr(error, "problems", ()):
            log.error("%s", problem)  # noqa: TRY400
        sys.exit(2)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stop.set())
    log.info(
        "tunesmith-controller %s, profiles: %s", tunesmith.__version__, ", ".join(config.profiles) or "none"
    )
    code = process.run()
    logging.shutdown()
    os._exit(code)  # watches that wait for the API server must not keep the process alive


if __name__ == "__main__":
    main()
