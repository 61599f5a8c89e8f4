"""The results of a run: for people after `run` and in `status` and `report`, and the same as JSON.

The JSON is a contract: `format` rises when a member is renamed or dropped.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tunesmith import gate
from tunesmith.errors import TunesmithError
from tunesmith.metrics import METRICS
from tunesmith.plain_text import indented, printable
from tunesmith.stages import JUDGED, PARTS
from tunesmith.wire import STORE
from tunesmith_cli.commands.terminal import duration, fancy, own_command, say, table, width

if TYPE_CHECKING:
    from tunesmith.manifest import Manifest
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.cluster.runs import Runs
    from tunesmith_cli.local.run_events import Ended

FORMAT = 1
SHOWN_ANSWERS = 3
SHOWN_CHARACTERS = 600  # of an answer
SIDE_BY_SIDE = 80  # columns


def part_urls(runs: "Runs", done: "Mapping[str, Manifest]") -> dict[str, str]:
    """URLs of dataset, adapter, model and report, as far as they are done."""
    urls: dict[str, str] = {}
    for name, (stage, part) in PARTS.items():
        if stage in done:
            urls[name] = "/".join(filter(None, (runs.url, done[stage].folder, part.place)))
    return urls


def run_json(runs: "Runs", snapshot: "Snapshot", done: "Mapping[str, Manifest]") -> dict[str, Any]:
    """A run as its manifests show it."""
    verdict = gate.verdict(snapshot.spec, done)
    return {
        "format": FORMAT,
        "run": snapshot.run,
        "store": runs.url,
        "base": snapshot.spec.model.base,
        "stages": [
            {"name": entry.name, "key": entry.key, **_stage_json(runs, done.get(entry.name))}
            for entry in snapshot.stages
        ],
        "gate": {"passed": verdict.passed, "message": str(verdict)} if verdict else None,
        "places": part_urls(runs, done),
    }


def _stage_json(runs: "Runs", manifest: "Manifest | None") -> dict[str, Any]:
    """What a stage's manifest says; `manifest`: None if it is not done."""
    if manifest is None:
        return {"done": False, "seconds": None, "created": None, "folder": None, "metrics": {}}
    return {
        "done": True,
        "seconds": manifest.seconds,
        "created": manifest.created.isoformat(),
        "folder": f"{runs.url}/{manifest.folder}",
        "metrics": manifest.metrics,
    }


def result_json(
    runs: "Runs",
    snapshot: "Snapshot",
    done: "Mapping[str, Manifest]",
    end: "Ended",
    reused: "tuple[str, ...]" = (),
) -> dict[str, Any]:
    """A run as `run` shows it: also how it ended, and which stages were reused."""
    result = run_json(runs, snapshot, done)
    for stage in result["stages"]:
        stage["reused"] = stage["name"] in reused
    return result | {"end": end_json(end)}


def end_json(end: "Ended") -> dict[str, Any]:
    """How a command that runs stages ended."""
    return {
        "exitCode": int(end.exit_code),
        "reason": end.reason,
        "message": end.message,
        "remedy": end.remedy,
        "stage": end.stage,
        "log": end.log,
    }


def print_summary(runs: "Runs", snapshot: "Snapshot", done: "Mapping[str, Manifest]", end: "Ended") -> None:
    """Print where the parts are, figures, answers, and what to do next."""
    spent = duration(sum(manifest.seconds for manifest in done.values()))
    complete = end.well and all(entry.name in done for entry in snapshot.stages)
    state = "is complete" if complete else "so far"
    say(f"\nRun {snapshot.run} {state}: {spent} of work in {len(done)} stages.\n")
    for part, url in part_urls(runs, done).items():
        say(f"  {part:<8} {shown(url)}")
    if "deliver" in done:
        say(f"  output   {shown(snapshot.spec.output)}")
    if JUDGED in done:
        say()
        say(figures(done[JUDGED].metrics))
        if end.message and end.well:
            say(indented(end.message))
        _print_answers(runs, done[JUDGED])
    say("\nNext:")
    for command in next_commands(runs, snapshot, done):
        say(f"  {command}")
    sys.stdout.flush()


def next_commands(runs: "Runs", snapshot: "Snapshot", done: "Mapping[str, Manifest]") -> list[str]:
    """What a person may want to type now."""
    import os

    from tunesmith_cli.local.folders import store_url

    try:
        usual = store_url(os.environ.get(STORE), os.environ) == runs.url
    except TunesmithError:
        usual = False
    store = "" if usual else f" --store {shlex.quote(shown(runs.url))}"
    commands = []
    if PARTS["model"][0] in done:
        commands.append(f"{own_command()} infer {snapshot.run} 'a prompt of yours' --compare{store}")
    if JUDGED in done:
        commands.append(f"{own_command()} report {snapshot.run} --open{store}")
    return [*commands, f"{own_command()} fetch {snapshot.run} --to DIR{store}"]


def figures(metrics: Mapping[str, float]) -> str:
    """A table of base and merged model, for each figure that was measured."""
    rows: list[tuple[str, ...]] = [("", "base", "merged", "gain", "gain at least (95 %)")]
    for metric in METRICS.values():
        values = [metrics.get(name) for name in (metric.base, metric.merged, metric.gain, metric.gain_low)]
        base, merged, *_ = values
        if base is None or merged is None:
            continue
        form = "{:.0%}" if metric.unit == "share" else "{:.3f}"
        cells = ["" if value is None else form.format(value) for value in values]
        rows.append((metric.title, *cells))
    if len(rows) == 1:
        return "no figures"
    return f"{table(rows)}\nn = {int(metrics.get('rows', 0))} test rows"


def shown(url: str) -> str:
    """A URL as people type it: a folder as a path."""
    return unquote(url.removeprefix("file://")) if url.startswith("file://") else url


def answers(runs: "Runs", evaluate: "Manifest", count: int = SHOWN_ANSWERS) -> list[dict[str, str]]:
    """Prompt, base's answer and merged model's of a few rows of evaluate's `answers.jsonl`."""
    try:
        lines = runs.read(f"{evaluate.folder}/answers.jsonl").decode().splitlines()
    except TunesmithError:
        return []
    rows = [json.loads(line) for line in lines[:count] if line.strip()]
    return [{name: _text(row.get(name)) for name in ("prompt", "base", "merged", "expected")} for row in rows]


def _text(value: Any) -> str:
    text = printable(str(value or "")).strip()
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _print_answers(runs: "Runs", evaluate: "Manifest") -> None:
    rows = answers(runs, evaluate)
    if not rows:
        return
    if fancy(sys.stdout) and width() >= SIDE_BY_SIDE:
        _print_side_by_side(rows)
        return
    for row in rows:
        say(f"\nprompt    {_indented(row['prompt'])}")
        say(f"base      {_indented(row['base'])}")
        say(f"new       {_indented(row['merged'])}")


def _indented(text: str) -> str:
    return text.replace("\n", "\n          ") or "(nothing)"


def _print_side_by_side(rows: list[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for row in rows:
        shown_row = Table(title=Text(row["prompt"], style="bold"), title_justify="left", expand=True)
        shown_row.add_column("base model", ratio=1)
        shown_row.add_column("new model", ratio=1)
        shown_row.add_row(Text(row["base"]), Text(row["merged"]))
        console.print()
        console.print(shown_row)
