"""`logs`: what the stages of a run said."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.errors import ExitCode, Gone
from tunesmith.stages import ORDER, KindName
from tunesmith_cli.commands.options import Name, Store
from tunesmith_cli.commands.place import Where, either
from tunesmith_cli.commands.running import open_runs, stored_run
from tunesmith_cli.commands.terminal import printable

if TYPE_CHECKING:
    from tunesmith_cli.local.places import RunPlace
    from tunesmith_cli.local.store import RunStore

_POLL_SECONDS = 0.3


@either
def logs(
    context: typer.Context,
    name: Name,
    *,
    where: Where,
    stage: Annotated[KindName | None, typer.Option(help="Only this stage.")] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "-f", "--follow", help="Go on as it is written, across stages and tries, until the run ends."
        ),
    ] = False,
    store: Store = "",
) -> int:
    """Print what the stages of a run said: this machine's log or the pods' own, and once there is none, what the store keeps.

    On the cluster -f may begin before the first pod, and goes on across stages and attempts.
    """
    from tunesmith_cli.local.places import run_place

    if where.cluster:
        from tunesmith_cli.commands import cluster_logs

        stages = (stage,) if stage else ORDER
        return cluster_logs.show(where, name, stages, context.obj, follow=follow)
    runs = open_runs(context, store)
    place = run_place(runs.url, name, os.environ)
    chosen = (stage,) if stage else ORDER
    if follow and _at_work(place):
        for text in _following(place, chosen):
            print(printable(text), flush=True)
        return ExitCode.DONE
    snapshot = stored_run(runs, name)
    keys: dict[str, str] = {entry.name: entry.key for entry in snapshot.stages}
    found = {}
    for one in chosen:
        text = _log(runs, place, name, one, keys.get(one))
        if text:
            found[one] = text
    if not found:
        raise Gone(
            f"no log of {' or '.join(chosen)} in run {name}, neither here nor in {runs.url}", reason="NoLog"
        )
    for one, text in found.items():
        if len(chosen) > 1:
            print(f"==> {one} <==")
        print("\n".join(printable(line) for line in text.splitlines()))
    return ExitCode.DONE


def _log(runs: "RunStore", place: "RunPlace", run: str, stage: str, key: str | None) -> str:
    if place.log(stage).exists():
        return place.log(stage).read_text(encoding="utf-8", errors="replace")
    if key is None:
        return ""
    try:
        return runs.log(run, stage, key)
    except Gone:
        return ""


def _at_work(place: "RunPlace") -> bool:
    from tunesmith_cli.local import lock

    return lock.holder(place.lock) is not None


def _following(place: "RunPlace", stages: Sequence[str]) -> Iterator[str]:
    """Lines of the logs, also of those that begin later, until the run is no longer at work."""
    positions = dict.fromkeys(stages, 0)
    at_work = True
    while at_work:
        at_work = _at_work(place)
        for stage in stages:
            try:
                with place.log(stage).open("rb") as file:
                    file.seek(positions[stage])
                    data = file.read()
            except FileNotFoundError:
                continue
            data = data[: data.rfind(b"\n") + 1]
            positions[stage] += len(data)
            for line in data.decode("utf-8", "replace").splitlines():
                yield f"{stage}| {line}" if len(stages) > 1 else line
        if at_work:
            time.sleep(_POLL_SECONDS)
