"""Every thread of the controller survives an exception and counts it; one that ends or hangs is seen."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from control_plane import free_ports
from controller.shell.played_server import Answer, Asked, PlayedServer, playing, until
from controller.shell.test_health import get

from tunesmith_controller import lease, threads
from tunesmith_controller.decide.model import Config
from tunesmith_controller.event_writer import EventWriter
from tunesmith_controller.lease import Elector
from tunesmith_controller.loop import Ticker, Worker
from tunesmith_controller.main import Process
from tunesmith_controller.metrics import THREADS
from tunesmith_controller.options import parse_options
from tunesmith_controller.progress import ProgressReader
from tunesmith_controller.reflector import Reflector
from tunesmith_controller.threads import Lasting


def test_an_exception_ends_a_step_and_not_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PAUSE", 0.01)
    counted: list[str] = []

    class Stumbling(Lasting):
        steps = 0

        def step(self) -> None:
            self.steps += 1
            if self.steps < 4:
                raise OverflowError("timestamp too large to convert to C _PyTime_t")
            self.stopped.set()

    thread = Stumbling("stumbling-1", kind="stumbling", count=counted.append)
    thread.start()
    thread.join(5)
    assert (thread.steps, counted, thread.wrong()) == (4, ["stumbling"] * 3, [])


def leases(held: dict[str, Any]) -> Callable[[Asked, Answer], None]:
    """An API server with nothing but a lease; its watches are silent."""

    def play(asked: Asked, answer: Answer) -> None:
        if asked.path.endswith(("trainingrequests", "jobs", "pods")):
            if asked.query.get("watch"):
                answer.begin()
                time.sleep(30)
            else:
                answer.json({"metadata": {"resourceVersion": "1"}, "items": []})
        elif "leases" in asked.path and asked.method in ("POST", "PUT"):
            held.update(
                asked.body, metadata={**asked.body["metadata"], "resourceVersion": str(time.time_ns())}
            )
            answer.json(held)
        elif "leases" in asked.path and held:
            answer.json(held)
        else:
            answer.refuse(404, "NotFound")

    return play


def controller(server: PlayedServer, folder: Path) -> tuple[Process, int]:
    """A whole controller in this process, and the port of its probes."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: '" + server.url + "'}}], "
        "users: [{name: u, user: {token: t}}], contexts: [{name: c, context: {cluster: c, user: u}}], "
        "current-context: c}"
    )
    port = free_ports(1)[0]
    arguments = [f"--kubeconfig={kubeconfig}", f"--metrics-address=127.0.0.1:{port}"]
    return Process(parse_options([*arguments, "--lease-namespace=a", "--workers=2"]), Config()), port


def probe(port: int) -> tuple[int, str]:
    with contextlib.suppress(OSError):  # it does not listen yet
        return get(port, "/healthz")
    return 0, ""


def hangs(thread: Lasting, over: threading.Event) -> None:
    thread.silent = 0.2
    over.wait(30)


def ends(_thread: Lasting, _over: threading.Event) -> None:
    raise SystemExit


# `listener` is a reflector that tells what has changed; without `health` nothing answers the probe at all.
KINDS = [kind for kind in THREADS if kind not in ("listener", "health")]
CLASSES = (Worker, Ticker, Reflector, EventWriter, ProgressReader, Elector, lease.Watch)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("what", [hangs, ends])
@pytest.mark.parametrize("kind", KINDS)
def test_a_thread_that_hangs_or_ends_is_seen_by_the_liveness_probe(
    kind: str, what: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, broken = threading.Event(), list[str]()
    for each in CLASSES:

        def step(thread: Lasting, usual: Callable[[Any], None] = each.step) -> None:
            if thread.kind != kind or over.is_set():
                usual(thread)
                return
            broken.append(thread.name)
            what(thread, over)

        monkeypatch.setattr(each, "step", step)
    with playing(leases({})) as server:
        process, port = controller(server, tmp_path)
        main = threading.Thread(target=process.run, daemon=True)
        main.start()
        try:
            _, text = until(lambda: (told := probe(port))[0] == 503 and told, 20)
            assert text.startswith(broken[0])
            assert ("is silent for" if what is hangs else "has ended") in text
        finally:
            over.set()
            process.stop.set()
            main.join(20)
        assert not main.is_alive()


def test_a_controller_whose_threads_live_says_so(tmp_path: Path) -> None:
    with playing(leases({})) as server:
        process, port = controller(server, tmp_path)
        main = threading.Thread(target=process.run, daemon=True)
        main.start()
        until(lambda: process.loop.threads, 20)
        assert {thread.kind for thread in process.threads()} | {"lease-watch"} == set(KINDS)
        assert probe(port) == (200, "ok\n")
        process.stop.set()
        main.join(20)
