"""What the operating system and its own metrics tell about a controller's process."""

import os
import re
from collections import Counter
from pathlib import Path

from controller.replicas import Replica

_CALL = re.compile(
    r'tunesmith_api_requests_total\{code="(?P<code>\w+)",resource="(?P<resource>[^"]+)",'
    r'verb="(?P<verb>\w+)"\} (?P<count>\S+)'
)


def calls_of(replica: Replica) -> Counter[tuple[str, str]]:
    """Calls by verb and resource, without the lease's."""
    calls: Counter[tuple[str, str]] = Counter()
    for line in replica.get("/metrics")[1].splitlines():
        if (match := _CALL.match(line)) and match["resource"] != "leases":
            calls[match["verb"], match["resource"]] += int(float(match["count"]))
    return calls


def writes(calls: Counter[tuple[str, str]]) -> int:
    """How many of the calls write."""
    return sum(count for (verb, _), count in calls.items() if verb not in ("get", "list", "watch"))


def looks_of(replica: Replica) -> Counter[str]:
    """Looks at requests by how they ended."""
    lines = [
        line
        for line in replica.get("/metrics")[1].splitlines()
        if line.startswith("tunesmith_reconcile_total{")
    ]
    return Counter({line.split('"')[1]: int(float(line.rsplit(" ", 1)[1])) for line in lines})


def phases_of(replica: Replica) -> Counter[str]:
    """Requests by phase."""
    found = re.findall(
        r'^tunesmith_requests\{phase="(\w+)".*\} (\S+)$', replica.get("/metrics")[1], re.MULTILINE
    )
    return Counter({phase: int(float(count)) for phase, count in found})


def memory_of(replica: Replica) -> tuple[float, float]:
    """The memory that a process has now, and the most that it has had, MiB."""
    lines = Path(f"/proc/{replica.process.pid}/status").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
    return sizes["VmRSS"], sizes["VmHWM"]


def cpu_of(replica: Replica) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{replica.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
