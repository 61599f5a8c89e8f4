"""One run of a tool against an endpoint of its own: seconds, memory, and what the endpoint counted."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.generate.stub import Behaviour, command
from benchmarks.generate.tools import HERE, Tool

SAMPLING = 0.05  # seconds between two looks at the memory


@dataclass
class Run:
    """What came of a run. `seconds`: from its first call to its rows, without start-up; 0: it did not end."""

    rows: int = 0
    seconds: float = 0.0
    start: float = 0.0
    peak: float = 0.0  # MiB, of all its processes
    cpu: float = 0.0  # seconds, of all its processes
    counts: dict[str, int] = field(default_factory=dict)
    ended: str = ""  # why there is no result


@contextlib.contextmanager
def endpoint(behaviour: Behaviour) -> Iterator[str]:
    """The address of an endpoint that runs within the block, a process of its own."""
    with subprocess.Popen(command(behaviour), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def counts(url: str) -> dict[str, int]:
    """What the endpoint has counted."""
    with urllib.request.urlopen(f"{url}/stats") as answer:
        told: dict[str, int] = json.load(answer)
    return told


def start(
    tool: Tool, url: str, rows: int, folder: Path, settings: dict[str, object], **environment: str
) -> subprocess.Popen[bytes]:
    """Start a run; its output goes into `folder`."""
    arguments = [url, str(rows), str(folder), json.dumps(settings)]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [tool.python(), str(HERE / tool.script), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, "BENCHMARK_BORN": str(time.time())},
            start_new_session=True,
        )


def measure(
    tool: Tool, behaviour: Behaviour, rows: int, settings: dict[str, object], limit: float, **environment: str
) -> Run:
    """Run a tool, for `limit` seconds at most."""
    run = Run()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, endpoint(behaviour) as url:
        begun = time.time()
        process = start(tool, url, rows, Path(place), settings, **environment)
        while process.poll() is None:
            pids = tree(process.pid)
            run.peak = max(run.peak, sum(map(_resident, pids)))
            run.cpu = max(run.cpu, sum(map(_computed, pids)))
            if time.time() - begun > limit:
                run.ended = f"stopped after {limit:g} s"
                kill(process)
            time.sleep(SAMPLING)
        run.counts = counts(url)
        kill(process)
        read_result(Path(place) / "output", run)
    return run


def read_result(output: Path, run: Run) -> None:
    """Take what a tool says of its run."""
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    results = [line for line in lines if line.startswith("RESULT ")]
    if results:
        told = json.loads(results[-1].removeprefix("RESULT "))
        run.rows, run.seconds, run.start = told["rows"], told["run"], told["start"]
    elif not run.ended:
        run.ended = (lines or ["no output"])[-1][:100]


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 for a tool and all that it started."""
    for pid in tree(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in tree(int(child)))]


def _resident(pid: int) -> float:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0.0
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _computed(pid: int) -> float:
    """Seconds of processor time, those of its ended children too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    except (OSError, IndexError):
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
