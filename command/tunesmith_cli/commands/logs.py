"""`logs`: what the stages of a run printed."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.errors import ExitCode, Gone
from tunesmith.stages import ORDER, KindName
from tunesmith_cli.commands.options import Name, Store
from tunesmith_cli.commands.stored_runs import open_runs, stored_run
from tunesmith_cli.commands.target import Target, either
from tunesmith_cli.commands.terminal import say, say_log

if TYPE_CHECKING:
    from tunesmith_cli.local.folders import RunFolder
    from tunesmith_cli.local.store import RunStore

_POLL_SECONDS = 0.3


@either
def logs(
    context: typer.Context,
    name: Name,
    *,
    target: Target,
    stage: Annotated[KindName | None, typer.Option(help="Only this stage.")] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "-f",
            "--follow",
            help="Print new lines as they come, across stages and tries, until the run ends.",
        ),
    ] = False,
    store: Store = "",
) -> int:
    """Print what the stages of a run printed: this machine's log or the pods' own, and once that is gone,
    what the store keeps.

    On the cluster -f may begin before the first pod, and continues across stages and attempts.
    """
    from tunesmith_cli.local.folders import run_folder

    stages = (stage,) if stage else ORDER
    if target.cluster:
        from tunesmith_cli.commands import cluster_logs

        return cluster_logs.show(target, name, stages, context.obj, follow=follow)
    runs = open_runs(context, store)
    folder = run_folder(runs.url, name, os.environ)
    if follow and _is_running(folder):
        for text in _following(folder, stages):
            say_log(text)
        return ExitCode.DONE
    keys: dict[str, str] = {entry.name: entry.key for entry in stored_run(runs, name).stages}
    texts = {which: _log(runs, folder, name, which, keys.get(which)) for which in stages}
    texts = {which: text for which, text in texts.items() if text}
    if not texts:
        raise Gone(
            f"no log of {' or '.join(stages)} in run {name}, neither here nor in {runs.url}", reason="NoLog"
        )
    for which, text in texts.items():
        if len(stages) > 1:
            say(f"==> {which} <==")
        for line in text.rstrip("\n").split("\n"):
            say_log(line)
    return ExitCode.DONE


def _log(runs: "RunStore", folder: "RunFolder", run: str, stage: str, key: str | None) -> str:
    """A stage's log: this machine's, else the store's; empty if there is none."""
    if folder.log(stage).exists():
        return folder.log(stage).read_text(encoding="utf-8", errors="replace")
    if key is None:
        return ""
    try:
        return runs.log(run, stage, key)
    except Gone:
        return ""


def _is_running(folder: "RunFolder") -> bool:
    from tunesmith_cli.local import lock

    return lock.holder(folder.lock) is not None


def _following(folder: "RunFolder", stages: Sequence[str]) -> Iterator[str]:
    """Lines of the logs, also of those that begin later, until the run has ended."""
    positions = dict.fromkeys(stages, 0)
    running = True
    while running:
        running = _is_running(folder)
        for stage in stages:
            try:
                with folder.log(stage).open("rb") as file:
                    file.seek(positions[stage])
                    data = file.read()
            except FileNotFoundError:
                continue
            data = data[: data.rfind(b"\n") + 1]
            positions[stage] += len(data)
            for line in data.decode("utf-8", "replace").split("\n")[:-1]:
                yield f"{stage}| {line}" if len(stages) > 1 else line
        if running:
            time.sleep(_POLL_SECONDS)
