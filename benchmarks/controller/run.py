"""Many requests on a real control plane with kwok's pods.

    python benchmarks/controller/run.py [--requests 500]

Two replicas with leader election; the requests are applied by five users at once, one per namespace. Counted
are the calls of the replica that leads, as its own metrics tell them. Needs the binaries of scripts/parts.sh.
Prints the results and writes them to results.md next to this file; exits with 1 if anything is not as it
should be.
"""

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from control_plane import ControlPlane, running  # noqa: E402
from controller.scale.seen import Seen  # noqa: E402
from controller.shell import real  # noqa: E402
from controller.shell.test_process import Replica, Replicas  # noqa: E402
from kwok import Behaviour, FakeNodes, node  # noqa: E402

STAGES = 4
WRITTEN = 5.0  # seconds within which what was decided is written: so long a namespace may seem behind
SECONDS = 5.0  # that each pod runs
_CALL = re.compile(
    r'tunesmith_api_requests_total\{code="(?P<code>\w+)",resource="(?P<resource>[^"]+)",'
    r'verb="(?P<verb>\w+)"\} (?P<count>\S+)'
)


@dataclass(frozen=True)
class Results:
    """What was seen."""

    seen: Seen
    seconds: float
    calls: Counter[tuple[str, str]]  # by verb and resource, without the lease's and those of the start
    looks: Counter[str]  # by result
    peak: float  # MiB of the leader
    standby: float  # MiB
    cpu: float  # seconds of the leader
    load: float  # mean load of the machine over the run
    complaints: list[str]  # errors and warnings in the logs
    jobs: int


def requests_of(space: str, count: int) -> str:
    """The documents that a user applies."""
    spec = {"task": "Answer riddles.", "model": {"base": "hf://org/base"}}
    head = {"apiVersion": "tunesmith.dev/v1alpha1", "kind": "TrainingRequest"}
    items = [
        {**head, "metadata": {"name": f"r{number}", "namespace": space}, "spec": spec}
        for number in range(count)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def config(limit: int) -> str:
    """The controller's: one profile with a limit."""
    profile = {
        "store": {"url": "s3://bucket/runs"},
        "limits": {"requests": limit},
        "defaults": {"training": {"device": "cpu"}},
    }
    images = dict.fromkeys(("generate", "train", "merge"), "localhost/none:1")
    return json.dumps({"images": images, "profiles": {"default": profile}})


def calls_of(replica: Replica) -> Counter[tuple[str, str]]:
    """Calls by verb and resource, without the lease's."""
    calls: Counter[tuple[str, str]] = Counter()
    for line in replica.get("/metrics")[1].splitlines():
        if (match := _CALL.match(line)) and match["resource"] != "leases":
            calls[match["verb"], match["resource"]] += int(float(match["count"]))
    return calls


def looks_of(replica: Replica) -> Counter[str]:
    """Looks at requests by how they ended."""
    lines = [
        line
        for line in replica.get("/metrics")[1].splitlines()
        if line.startswith("tunesmith_reconcile_total{")
    ]
    return Counter({line.split('"')[1]: int(float(line.rsplit(" ", 1)[1])) for line in lines})


def peak_of(replica: Replica) -> float:
    """The most memory that a process has had, MiB."""
    lines = Path(f"/proc/{replica.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def cpu_of(replica: Replica) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{replica.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def complaints(replicas: Replicas) -> Iterator[str]:
    """Errors and warnings in the logs."""
    for replica in replicas.all:
        for level in ("error", "warning"):
            yield from (f"{level}: {line}" for line in replica.logged(level))


def measure(
    plane: ControlPlane, folder: Path, requests: int, namespaces: int, limit: int, flags: list[str]
) -> Results:
    """One run, to the last request."""
    real.install(plane)
    plane.kubectl("create", "-f", "-", stdin=json.dumps(node()))
    nodes = FakeNodes(plane)
    nodes.start((Behaviour(seconds=SECONDS),))
    seen, replicas = Seen(), Replicas(plane, folder)
    seen.watch(real.real_api(plane))
    path = folder / "limited.yaml"
    path.write_text(config(limit))
    try:
        pair = [replicas.start(f"--config={path}", *flags) for _ in range(2)]
        real.until("one leads", lambda: sum(replica.metric("tunesmith_leader") for replica in pair) == 1)
        leader = max(pair, key=lambda replica: replica.metric("tunesmith_leader"))
        spaces = [plane.namespace() for _ in range(namespaces)]
        idle, begun, loads = calls_of(leader), time.monotonic(), [os.getloadavg()[0]]
        with ThreadPoolExecutor(namespaces) as users:
            for done in [
                users.submit(
                    plane.kubectl, "create", "-f", "-", stdin=requests_of(space, requests // namespaces)
                )
                for space in spaces
            ]:
                done.result()
        seen.judging = True
        print(f"all applied after {time.monotonic() - begun:.0f} s", flush=True)
        while seen.phases() != {"Succeeded": requests}:
            if (
                time.monotonic() - begun > 3600
                or "Failed" in seen.phases()
                or leader.process.poll() is not None
            ):
                break
            time.sleep(2)
            loads.append(os.getloadavg()[0])
            if len(loads) % 10 == 0:
                print(f"{time.monotonic() - begun:.0f} s: {seen.phases()}, load {loads[-1]:.1f}", flush=True)
        seconds = time.monotonic() - begun
        real.until("the last Events are written", lambda: _still(leader), 120)
        return Results(
            seen=seen,
            seconds=seconds,
            calls=calls_of(leader) - idle,
            looks=looks_of(leader),
            peak=peak_of(leader),
            standby=min(map(peak_of, pair)),
            cpu=cpu_of(leader),
            load=sum(loads) / len(loads),
            complaints=list(complaints(replicas)),
            jobs=sum(len(real.listed(plane, space, "jobs")) for space in spaces),
        )
    finally:
        for replica in replicas.all:
            replica.stop()
        nodes.stop()


def _still(leader: Replica) -> bool:
    before = calls_of(leader)
    time.sleep(3)
    return calls_of(leader) == before


def wrong(results: Results, requests: int, limit: int) -> list[str]:
    """What is not as it should be, as sentences."""
    seen = results.seen
    behind = "a namespace was more than one turn behind for"
    checks = {
        f"not all Succeeded: {results.seen.phases()}": results.seen.phases() == {"Succeeded": requests},
        f"{results.jobs} Jobs for {requests * STAGES} stages": results.jobs == requests * STAGES,
        f"{results.seen.most_jobs} Jobs at once, limit {limit}": results.seen.most_jobs <= limit,
        f"{behind} {seen.longest_behind:.1f} s": seen.longest_behind < WRITTEN,
        f"a namespace stayed more than one turn behind: {seen.still_behind()}": not seen.still_behind(),
        f"{results.peak:.0f} MiB": results.peak <= 300,
        **dict.fromkeys(results.complaints, False),
    }
    return [problem for problem, holds in checks.items() if not holds]


def table(results: Results, requests: int, namespaces: int, limit: int, flags: list[str]) -> list[str]:
    """The page of results."""
    total = results.calls.total()
    writes = sum(
        count for (verb, _), count in results.calls.items() if verb in ("create", "patch", "update", "delete")
    )
    behind = results.seen.behind
    return [
        f"# Controller: {requests} requests in {namespaces} namespaces, {results.jobs} Jobs, at most {limit} "
        "requests at work",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs that the control plane and others "
        f"share, mean load {results.load:.1f}, "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}. Two replicas, flags "
        f"{' '.join(flags) or 'as built in'}. kube-apiserver, etcd, controller-manager and "
        f"scheduler are real; kwok plays the pods, each {SECONDS:.0f} s long.",
        "",
        "| what | seen |",
        "| --- | --- |",
        "| requests at the end | "
        f"{', '.join(f'{count} {name}' for name, count in sorted(results.seen.phases().items()))} |",
        f"| seconds from the first to the last | {results.seconds:.0f} |",
        f"| most Jobs at once | {results.seen.most_jobs} |",
        f"| most requests at work at once, as their statuses say | {results.seen.most_requests} |",
        "| starts while other namespaces waited, by how many requests fewer the last of them then had at "
        "work (1: it comes next) | "
        f"{', '.join(f'{lag}: {behind[lag]}' for lag in sorted(behind))} |",
        "| longest that one was more than a turn behind (workers write at the same time) | "
        f"{results.seen.longest_behind:.2f} s |",
        f"| API calls per request | {total / requests:.1f}, of which {writes / requests:.1f} writes |",
        f"| API calls a second | {total / results.seconds:.0f} |",
        "| looks at a request | "
        f"{', '.join(f'{count} {name}' for name, count in sorted(results.looks.items()))} |",
        f"| peak memory of the leader, of the standby | {results.peak:.0f} MiB, {results.standby:.0f} MiB |",
        f"| CPU of the leader | {results.cpu:.0f} s, {1000 * results.cpu / requests:.0f} ms per request |",
        f"| errors and warnings in the logs | {len(results.complaints)} |",
        "",
        "| call | count | per request |",
        "| --- | --- | --- |",
        *(
            f"| {verb} {resource} | {count} | {count / requests:.2f} |"
            for (verb, resource), count in results.calls.most_common()
        ),
    ]


def main() -> None:
    """Run, print and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--namespaces", type=int, default=5)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("flags", nargs="*", help="more flags of the controller, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as plane:
        results = measure(
            plane, plane.folder, arguments.requests, arguments.namespaces, arguments.limit, arguments.flags
        )
    lines = table(results, arguments.requests, arguments.namespaces, arguments.limit, arguments.flags)
    print("\n".join(lines))
    if not arguments.no_write:
        (HERE / "results.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if problems := wrong(results, arguments.requests, arguments.limit):
        sys.exit("\n".join(["", *problems]))


if __name__ == "__main__":
    main()
