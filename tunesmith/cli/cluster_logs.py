"""`logs` on a cluster: the pods' own, or once they are gone what the store keeps. Machine lines are drawn as progress, not printed."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tunesmith import events
from tunesmith.cli.place import Where
from tunesmith.cli.screen import LineScreen, Screen, screen
from tunesmith.cli.terminal import fancy, printable
from tunesmith.errors import ExitCode, Gone
from tunesmith.events import Progress

if TYPE_CHECKING:
    from tunesmith.cluster.logs import Said
    from tunesmith.local.processes import Toolbox


def show(where: Where, name: str, stages: list[str], toolbox: "Toolbox", *, follow: bool) -> int:
    """`logs` there."""
    from tunesmith.cluster import logs
    from tunesmith.cluster.requests import get

    api, namespace = where.api(), where.here()
    request = get(api, namespace, name)
    if follow:
        return _print(logs.following(api, namespace, name, stages), several=len(stages) > 1)
    pods = [
        pod
        for pod in logs.pods(api, namespace, request["metadata"]["uid"], name, stages)
        if pod["status"].get("phase") in ("Running", "Succeeded", "Failed")
    ]
    if pods:
        said = (line for pod in pods for line in logs.lines(api, namespace, pod, follow=False))
        return _print(said, several=len(stages) > 1, draw=False)
    return _from_store(where, name, stages, toolbox)


def _print(said: "Iterable[Said]", *, several: bool, draw: bool = True) -> int:
    """People's lines on standard output; progress on standard error, in a bar only where both are the same terminal."""
    drawn: Screen = screen(verbose=False) if fancy(sys.stdout) else LineScreen(sys.stderr, verbose=False)
    with drawn as shown:
        pod = ""
        for line in said:
            if several and line.pod != pod:
                print(f"==> {line.stage}, attempt {line.attempt or '?'}, pod {line.pod} <==", flush=True)
                pod = line.pod
            event = events.parse(line.text)
            if event is None:
                print(printable(line.text), flush=True)
            elif draw and isinstance(event, Progress):
                shown(event)
    return ExitCode.DONE


def _from_store(where: Where, name: str, stages: list[str], toolbox: "Toolbox") -> int:
    from tunesmith.cli.terminal import tell
    from tunesmith.cluster.data import opened, run_data
    from tunesmith.cluster.requests import get

    api = where.api()
    data = run_data(api, get(api, where.here(), name))
    keys: dict[str, str] = {entry.name: entry.key for entry in data.snapshot.stages}
    found = {}
    with opened(api, data, os.environ, toolbox, tell) as runs:
        for stage in stages:
            if stage in keys:
                try:
                    found[stage] = runs.log(data.snapshot.run, stage, keys[stage])
                except Gone:
                    continue
    if not found:
        raise Gone(f"no log of {' or '.join(stages)} of {name}, neither in pods nor in {data.store}", reason="NoLog")
    for stage, text in found.items():
        if len(stages) > 1:
            print(f"==> {stage} <==")
        print("\n".join(printable(line) for line in text.splitlines() if events.parse(line) is None))
    return ExitCode.DONE
