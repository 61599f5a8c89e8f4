"""The controller on a real control plane with kwok's pods, against the same Jobs without a controller.

    python benchmarks/controller/run.py [--only throughput|standing|reaction]

Needs the binaries of scripts/parts.sh, and half an hour on a machine that does nothing else. Prints what it
saw and writes it to results.md next to this file; exits with 1 if anything is not as it should be.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "tests")]

from control_plane import ControlPlane, running  # noqa: E402

from benchmarks.controller import bookings, reaction, standing, throughput  # noqa: E402
from benchmarks.controller.throughput import Load, Results  # noqa: E402

LOADS = (Load(1000, 5, 0), Load(500, 5, 100))
MOST_TIMES = 1.3  # the time of the same Jobs without a controller
MOST_WRITES = 12.0  # of a request that does not wait
Page = tuple[list[str], list[str]]  # lines, and what is not as it should be


@contextmanager
def cluster() -> Iterator[ControlPlane]:
    """A new control plane, so that nobody pays for what another one has left."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as plane:
        yield plane


def throughput_page(flags: list[str]) -> Page:
    """Wall time against the bare script, calls, fairness."""
    lines, problems = ["## Many requests at once", ""], list[str]()
    for load in LOADS:
        with cluster() as plane:
            least = throughput.bare(plane, load)
        with cluster() as plane:
            results = throughput.measure(plane, plane.folder, load, flags)
        lines += _table(results, least)
        problems += throughput.wrong(results)
        if results.seconds > MOST_TIMES * least:
            problems.append(f"{results.seconds:.0f} s, {results.seconds / least:.2f} times {least:.0f} s")
        if not load.limit and results.writes > MOST_WRITES * load.requests:
            problems.append(f"{results.writes / load.requests:.2f} writes a request")
    return lines, problems


def _table(results: Results, least: float) -> list[str]:
    load, seen, total = results.load, results.seen, results.calls.total()
    limit = f"at most {load.limit} at work" if load.limit else "no limit"
    rows = {
        "requests at the end": ", ".join(f"{count} {name}" for name, count in sorted(results.phases.items())),
        "seconds from the first to the last": f"{results.seconds:.0f}",
        "the same Jobs without a controller": f"{least:.0f} s; {results.seconds / least:.2f} times that",
        "API calls, writes among them, a request": f"{total / load.requests:.1f}, "
        f"{results.writes / load.requests:.1f}",
        "looks at a request": ", ".join(
            f"{count / load.requests:.1f} {name}" for name, count in sorted(results.looks.items())
        ),
        "peak memory of the leader, of the standby": f"{results.peak:.0f} MiB, {results.standby:.0f} MiB",
        "CPU of the leader": f"{results.cpu:.0f} s, {1000 * results.cpu / load.requests:.0f} ms a request",
        "errors and warnings in the logs": str(len(results.complaints)),
        "mean load of the machine": f"{results.busy:.1f}",
    }
    if load.limit:
        behind = ", ".join(f"{lag}: {seen.behind[lag]}" for lag in sorted(seen.behind))
        rows |= {
            "most Jobs at once": str(seen.most_jobs),
            "starts while other namespaces waited, by how many requests fewer the last of them then had at "
            "work (1: it comes next)": behind,
            "longest that one was more than a turn behind": f"{seen.longest_behind:.2f} s",
        }
    calls = {
        f"{verb} {resource}": f"{count / load.requests:.2f} a request"
        for (verb, resource), count in results.calls.most_common()
    }
    return [f"### {load.requests} requests, {limit}", "", *_rows(rows), "", *_rows(calls), ""]


def standing_page(_flags: list[str]) -> Page:
    """Thousands of requests that live, and that have ended."""
    with cluster() as plane:
        seen = standing.measure(plane, plane.folder, live=5000, finished=5000, largest=100)
    rows = {
        "requests that live, that have ended": f"{seen.live:,}, {seen.finished:,} ({seen.objects:,} objects)",
        "seconds from the start to ready, to the first look": f"{seen.ready:.1f}, {seen.leads:.1f}",
        "memory when idle, at most": f"{seen.memory:.0f} MiB, {seen.peak:.0f} MiB",
        f"CPU when idle, over {standing.IDLE:.0f} s": f"{100 * seen.cpu:.2f} % of a core",
        "writes, reads when idle": f"{seen.writes}, {seen.reads}",
        f"{seen.largest} requests of the largest size more": f"{seen.added:.0f} MiB",
    }
    checks = {
        f"{seen.peak:.0f} MiB": seen.peak <= 250,
        f"ready after {seen.ready:.1f} s": seen.ready <= 10,
        f"{100 * seen.cpu:.2f} % of a core when idle": seen.cpu <= 0.01,
        f"{seen.writes} writes when idle": seen.writes == 0,
        f"{seen.added:.0f} MiB for {seen.largest} large requests": seen.added <= 60,
    }
    return ["## Many requests that stand", "", *_rows(rows), ""], _failed(checks)


def reaction_page(_flags: list[str]) -> Page:
    """How soon the next Job follows."""
    with cluster() as plane:
        seconds = reaction.measure(plane, plane.folder, requests=1000, namespaces=5)
    booking = bookings.measure()
    p50, p99 = (seconds[int(len(seconds) * share)] for share in (0.5, 0.99))
    rows = {
        "from a Job's end to the next Job, as a watch shows both; 1,000 requests live": (
            f"{p50:.2f} s (median), {p99:.2f} s (p99) of {len(seconds)}"
        ),
        "a booking among 5,000 requests in 500 namespaces": (
            f"{booking * 1000:.1f} ms (the longest of {bookings.COUNT})"
        ),
    }
    checks = {f"p99 {p99:.2f} s": p99 <= 1, f"a booking takes {booking * 1000:.0f} ms": booking <= 0.02}
    return ["## How soon", "", *_rows(rows), ""], _failed(checks)


def _rows(rows: dict[str, str]) -> list[str]:
    return ["| what | seen |", "| --- | --- |", *(f"| {what} | {seen} |" for what, seen in rows.items())]


def _failed(checks: dict[str, bool]) -> list[str]:
    return [problem for problem, holds in checks.items() if not holds]


PAGES: dict[str, Callable[[list[str]], Page]] = {
    "throughput": throughput_page,
    "standing": standing_page,
    "reaction": reaction_page,
}


def main() -> None:
    """Run, print and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", choices=PAGES, help="one part; results.md stays as it is")
    parser.add_argument("flags", nargs="*", help="more flags of the controller, after --")
    arguments = parser.parse_args()
    lines = [
        "# Controller",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs that the control plane, kwok and the "
        f"clients share, {time.strftime('%Y-%m-%d', time.gmtime())}. kube-apiserver, etcd, "
        f"controller-manager and scheduler are real; kwok plays the pods, each {throughput.SECONDS:.0f} s "
        f"long. Flags: {' '.join(arguments.flags) or 'as built in'}.",
        "",
    ]
    problems: list[str] = []
    for name, page in PAGES.items():
        if arguments.only in (None, name):
            more, wrong = page(arguments.flags)
            print("\n".join(more), flush=True)
            lines, problems = lines + more, problems + wrong
    if not arguments.only:
        (HERE / "results.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    if problems:
        sys.exit("\n".join(["", *problems]))


if __name__ == "__main__":
    main()
