"""`logs` on a cluster: from the pods, or once they are gone from the store. Machine lines are drawn as
progress, not printed.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith import events
from tunesmith.errors import BadRequest, ExitCode, Gone, TryAgain, TunesmithError
from tunesmith.events import Progress
from tunesmith_cli.commands.screen import LineScreen, Screen, screen
from tunesmith_cli.commands.target import Target
from tunesmith_cli.commands.terminal import fancy, say, say_log, tell

if TYPE_CHECKING:
    from tunesmith_cli.cluster.api import Api
    from tunesmith_cli.cluster.logs import PodLine
    from tunesmith_cli.local.processes import Toolbox


def show(target: Target, name: str, stages: Sequence[str], toolbox: "Toolbox", *, follow: bool) -> int:
    """`logs` there."""
    from tunesmith_cli.cluster import logs
    from tunesmith_cli.cluster.requests import get

    api, namespace = target.api(), target.namespace()
    request = get(api, namespace, name)
    several = len(stages) > 1
    if follow:
        _print(logs.following(api, namespace, name, stages, tell), several=several)
        return ExitCode.DONE
    pods = [
        pod
        for pod in logs.pods(api, namespace, request["metadata"]["uid"], name, stages)
        if pod["status"].get("phase") in ("Running", "Succeeded", "Failed")
    ]
    read: set[str] = set()
    _print(_readable(api, namespace, pods, read), several=several, draw=False)
    in_store = _stages_in_store(request)
    missing = [stage for stage in stages if stage not in read and (stage in in_store or not read)]
    try:
        if missing:
            _print_from_store(target, request, missing, toolbox, several=several)
    except TunesmithError as error:
        if not read:
            raise
        tell(f"not shown: {', '.join(missing)}, whose pods are gone: {error.message}")
    return ExitCode.DONE


def _readable(
    api: "Api", namespace: str, pods: Sequence[Mapping[str, Any]], read: set[str]
) -> "Iterator[PodLine]":
    """Lines of the pods that can be read, whose stages are added to `read`; for the others it is said why
    they cannot.
    """
    from tunesmith_cli.cluster import logs

    for pod in pods:
        try:
            yield from logs.lines(api, namespace, pod, follow=False)
            read.add(logs.stage_of(pod))
        except (BadRequest, Gone, TryAgain) as error:
            tell(logs.unreadable(pod, error))


def _stages_in_store(request: Mapping[str, Any]) -> list[str]:
    """Stages whose log the store may have: it is written at the end of an attempt."""
    from tunesmith_cli.cluster.requests import status_of

    return [row.name for row in status_of(request).stages if row.phase in ("Succeeded", "Failed")]


def _print(lines: "Iterable[PodLine]", *, several: bool, draw: bool = True) -> None:
    """People's lines on standard output; progress on standard error, in a bar only if both are the same
    terminal.
    """
    drawn: Screen = screen(verbose=False) if fancy(sys.stdout) else LineScreen(sys.stderr, verbose=False)
    with drawn as show_event:
        pod = ""
        for line in lines:
            if several and line.pod != pod:
                say(f"==> {line.stage}, attempt {line.attempt or '?'}, pod {line.pod} <==")
                pod = line.pod
            event = events.parse(line.text)
            if event is None:
                say_log(line.text)
            elif draw and isinstance(event, Progress):
                show_event(event)


def _print_from_store(
    target: Target, request: Mapping[str, Any], stages: Sequence[str], toolbox: "Toolbox", *, several: bool
) -> None:
    from tunesmith_cli.cluster.run_data import run_data
    from tunesmith_cli.cluster.runs import opened

    api, name = target.api(), request["metadata"]["name"]
    data = run_data(api, request)
    keys: dict[str, str] = {entry.name: entry.key for entry in data.snapshot.stages}
    texts = {}
    with opened(api, data, os.environ, toolbox, tell) as runs:
        for stage in stages:
            if stage in keys:
                try:
                    texts[stage] = runs.log(data.snapshot.run, stage, keys[stage])
                except Gone:
                    continue
    if not texts:
        raise Gone(
            f"no log of {' or '.join(stages)} of {name}, neither in pods nor in {data.store}", reason="NoLog"
        )
    for stage, text in texts.items():
        if several:
            say(f"==> {stage} <==")
        for line in text.rstrip("\n").split("\n"):
            if events.parse(line) is None:
                say_log(line)
