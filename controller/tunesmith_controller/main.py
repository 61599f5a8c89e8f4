"""`tunesmith-controller`: wires the parts together, and ends them in the right order."""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kubernetes.config import ConfigException

import tunesmith
from tunesmith.errors import BadRequest
from tunesmith.wire import MANAGED_BY, MANAGER
from tunesmith_controller import health, logs
from tunesmith_controller.api import Api, connect
from tunesmith_controller.cache import Cache, Key
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
from tunesmith_controller.progress import ProgressReader
from tunesmith_controller.queue import WorkQueue
from tunesmith_controller.rate import TokenBucket
from tunesmith_controller.reflector import Observer, Reflector
from tunesmith_controller.rights import JOBS, PODS, REQUESTS, Resource
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.turns import Turns
from tunesmith_controller.world import Caches

log = logging.getLogger(__name__)

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
JOIN_SECONDS = 20.0  # that looks under way have after SIGTERM
SILENT = 600.0  # seconds without a sign of life after which a watch counts as dead; without an API server it tries each 30 s


@dataclass(frozen=True)
class Options:
    """The command line."""

    config: Path
    kubeconfig: str
    namespaces: tuple[str, ...]
    leader_election: bool
    lease_name: str
    lease_namespace: str
    workers: int
    qps: float
    burst: int
    metrics_address: str
    log_format: str
    log_level: str


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """The options of a command line; exits with 2 and a usage message if it is wrong."""
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(
        "tunesmith-controller", description="Turns TrainingRequests into Jobs.", formatter_class=formatter
    )
    add = parser.add_argument
    add(
        "--config",
        type=Path,
        default=Path("/etc/tunesmith/config.yaml"),
        metavar="FILE",
        help="profiles and images, read at start",
    )
    add(
        "--kubeconfig",
        default=os.environ.get("KUBECONFIG", ""),
        metavar="FILE",
        help="how to reach the API server; empty: from inside a pod",
    )
    add("--namespaces", default="", metavar="A,B", help="namespaces whose requests are worked on; empty: all")
    add(
        "--leader-election",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="work only while holding the lease",
    )
    add("--lease-name", default="tunesmith-controller", metavar="NAME", help="name of the lease")
    add(
        "--lease-namespace",
        default=_own_namespace(),
        metavar="NAME",
        help="namespace of the lease; the pod's own",
    )
    add(
        "--workers",
        type=_positive,
        default=8,
        metavar="N",
        help="requests that are looked at at the same time",
    )
    add(
        "--qps",
        type=_rate,
        default=100.0,
        metavar="N",
        help="calls to the API server a second; half of it at most for progress",
    )
    add(
        "--burst",
        type=_positive,
        default=200,
        metavar="N",
        help="calls to the API server at once, after a pause",
    )
    add(
        "--metrics-address",
        default=":8080",
        metavar="HOST:PORT",
        type=_address,
        help="for /metrics, /healthz and /readyz; :PORT is every address",
    )
    add("--log-format", choices=("text", "json"), default="text", help="how log lines look")
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="least level that is logged",
    )
    add(
        "--version",
        action="version",
        version=f"tunesmith-controller {tunesmith.__version__}",
        help="prints the version",
    )
    found = vars(parser.parse_args(arguments))
    found["namespaces"] = tuple(
        name for name in (part.strip() for part in found["namespaces"].split(",")) if name
    )
    return Options(**found)


class Process:
    """One replica: its caches from the start, its workers while it leads. `stop` may be set by a signal."""

    def __init__(self, options: Options, config: Config, decide: Reconcile = reconcile) -> None:
        self._options, self.stop = options, threading.Event()
        self.lost = threading.Event()
        identity = f"{socket.gethostname()}_{uuid4().hex[:8]}"
        self.metrics = metrics = Metrics()
        namespaces = options.namespaces or ("",)
        transport = connect(options.kubeconfig, connections=options.workers + 3 * len(namespaces) + 8)
        bucket = TokenBucket(options.qps, options.burst)
        self._api = api = Api(transport, bucket, observe=metrics.called, stop=self.stop)
        self.caches = caches = Caches()
        self.queue: WorkQueue[Key] = WorkQueue(waited=metrics.queue_latency.observe)
        share = (
            options.qps / 4
        )  # each for Events, for reads of progress and for the writes that these lead to: the rest is for work
        self._notes, snapshots = EventWriter(api, identity, share), SnapshotReader(api)
        self._progress = ProgressReader(api, caches.pods, self.queue.add, rate=share)
        self._elector = Elector(
            api, options.lease_namespace, options.lease_name, identity, won=self._lead, lost=self._lose
        )  # fmt: skip
        executor = Executor(api, caches, snapshots, self._notes, self._leading)
        turns = Turns({name: profile.limits for name, profile in config.profiles.items()})
        self.loop = Loop(
            Parts(
                api,
                caches,
                self.queue,
                snapshots,
                EventReader(api),
                turns,
                executor,
                metrics,
                self._progress.known,
                config,
                decide,
            ),
            options.workers,
        )
        self._reflectors = [
            self._reflector(resource, cache, namespace, selector)
            for namespace in namespaces
            for resource, cache, selector in (
                (REQUESTS, caches.requests, ""),
                (JOBS, caches.jobs, f"{MANAGED_BY}={MANAGER}"),
                (PODS, caches.pods, f"{MANAGED_BY}={MANAGER}"),
            )
        ]
        metrics.watch_caches(caches.requests, caches.jobs, caches.pods, self.queue.depth, config.profiles)

    def run(self) -> int:
        """Until `stop`, or until the lease is lost. Returns the exit code."""
        server = health.serve(
            self._options.metrics_address, self.metrics.registry, self._dead, self._not_ready
        )
        self.metrics.crd_missing_fields.set(check_installed(self._api))
        self.loop.listen()
        self._notes.start()
        for reflector in self._reflectors:
            reflector.start()
        if self._options.leader_election:
            self._elector.start()
        else:
            threading.Thread(target=self._lead, name="lead", daemon=True).start()
        self.stop.wait()
        if self.lost.is_set():
            return 1
        log.info("stopping")
        self._progress.stop()
        ended = self.loop.stop(JOIN_SECONDS)
        self.metrics.leader.set(0)
        if ended:
            self._elector.release()
        else:  # it may still write: the lease has to run out before anybody else works
            log.warning("a look at a request did not end in %d s; the lease is not released", JOIN_SECONDS)
        for reflector in self._reflectors:
            reflector.stop()
        server.shutdown()
        log.info("stopped")
        return 0

    def _reflector(self, resource: Resource, cache: Cache, namespace: str, selector: str) -> Reflector:
        restarts, lists = self.metrics.watch_restarts, self.metrics.relists.labels(resource.plural)
        observer = Observer(lambda reason: restarts.labels(resource.plural, reason).inc(), lists.inc)
        return Reflector(
            self._api, resource, cache, namespace=namespace, selector=selector, observer=observer
        )

    def _lead(self) -> None:
        """Works. If it cannot begin, another replica may: a leader that does nothing would be the worst."""
        try:
            self._begin()
        except Exception:
            log.exception("the work cannot begin")
            self._lose()

    def _begin(self) -> None:
        """Waits for full caches, then works."""
        for reflector in self._reflectors:
            while not reflector.synced.wait(0.2):
                if self.stop.is_set():
                    return
        if self.stop.is_set():
            return
        self.metrics.leader.set(1)
        self.loop.start()
        self._progress.start()

    def _lose(self) -> None:
        """Ends the process before anybody else can hold the lease. What is under way is cut off: no write starts any more."""
        self.metrics.leader.set(0)
        self.lost.set()
        self.stop.set()
        threading.Timer(1.0, os._exit, (1,)).start()

    def _leading(self) -> bool:
        return not self._options.leader_election or self._elector.leading

    def _dead(self) -> list[str]:
        now = time.monotonic()
        silent = [
            f"{reflector.name} is silent for {now - reflector.beat:.0f} s"
            for reflector in self._reflectors
            if reflector.ident and (not reflector.is_alive() or now - reflector.beat > SILENT)
        ]
        threads: tuple[threading.Thread, ...] = (self._elector, self._notes, self._progress)
        ended = [
            f"{thread.name} has ended"
            for thread in threads
            if thread.ident and not thread.is_alive() and not self.stop.is_set()
        ]
        return silent + ended + self.loop.wrong()

    def _not_ready(self) -> list[str]:
        return [
            f"{reflector.name} has not listed yet"
            for reflector in self._reflectors
            if not reflector.synced.is_set()
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Exit codes: 0 stopped, 1 lease lost, 2 wrong command line or configuration."""
    options = parse_options(arguments)
    logs.set_up(options.log_format, options.log_level)
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
    os._exit(code)  # watches that wait for the API server must not hold the process up


def _own_namespace() -> str:
    try:
        return _OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return os.environ.get("POD_NAMESPACE", "default")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return rate


def _address(text: str) -> str:
    try:
        health.parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


if __name__ == "__main__":
    main()
