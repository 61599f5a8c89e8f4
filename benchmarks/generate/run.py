"""Generation beside curator, DataDesigner and distilabel, against one endpoint.

    python benchmarks/generate/run.py [--only kills,CASE,…] [--tools NAME,…]

Each peer gets an environment of its own, in .peers next to this file, at the version in tools.py: some
minutes at the first time. Prints the tables and, if all of it was run, writes them to results.md next to this
file.
"""

import argparse
import asyncio
import itertools
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "tests")]

from benchmarks.generate import kills  # noqa: E402
from benchmarks.generate.cases import CASES, TIME_LIMIT, Case  # noqa: E402
from benchmarks.generate.measure import Run, endpoint, measure  # noqa: E402
from benchmarks.generate.stub import Behaviour  # noqa: E402
from benchmarks.generate.tools import HERE, PEERS, STAGE, Tool, prepare  # noqa: E402
from tunesmith.wire import TEACHER_TIMEOUT  # noqa: E402


def one(case: str, tool: Tool, *, default: bool) -> Run:
    """A tool in a case."""
    kind = CASES[case]
    environment = {TEACHER_TIMEOUT: str(TIME_LIMIT)} if case == "hung" and tool is STAGE else {}
    settings = tool.settings(case, kind.width, default=default)
    return measure(tool, kind.behaviour, kind.rows, settings, kind.limit, **environment)


def row(case: Case, tool: Tool, run: Run, *, default: bool) -> str:
    """A line of the table."""
    least = case.least(1 if tool is STAGE else 0)
    name = tool.name + (", as installed" if default and tool is not STAGE else "")
    if run.seconds:
        took = f"{run.seconds:.2f} | {least:.2f} | {run.seconds / least:.2f}"
    else:
        took = f"{run.ended} | {least:.2f} |"
    asked = f"{run.counts.get('asked', 0)} | {run.counts.get('refused', 0)}"
    return f"| {name} | {took} | {run.rows} | {asked} | {run.start:.1f} | {run.cpu:.1f} | {run.peak:.0f} |"


def page(case: str, tools: list[Tool]) -> list[str]:
    """The table of a case."""
    kind = CASES[case]
    lines = [
        f"## {kind.name}",
        "",
        f"{kind.rows} rows. To reach: {kind.to_reach}."
        + ("" if kind.alone else " The peers at the same time."),
        "",
        "| tool | run s | least s | times | rows | calls | refused | start s | CPU s | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines), flush=True)
    runs = [(tool, False) for tool in tools] + [
        (tool, True) for tool in tools if kind.defaults and tool is not STAGE
    ]
    first = [one(case, STAGE, default=False)] if STAGE in tools else []
    with ThreadPoolExecutor(1 if kind.alone else len(runs)) as pool:
        done = pool.map(lambda pair: one(case, pair[0], default=pair[1]), runs[len(first) :])
        for (tool, default), run in zip(runs, itertools.chain(first, done), strict=True):
            lines.append(row(kind, tool, run, default=default))
            print(lines[-1], flush=True)
    return [*lines, ""]


def ceiling(seconds: float = 3.0) -> float:
    """Calls a second that the endpoint answers at once, asked by a plain client."""

    async def ask(url: str) -> int:
        import aiohttp

        body = {"model": "stub", "messages": [{"role": "user", "content": "make example 1"}]}
        until, done = time.monotonic() + seconds, 0
        async with aiohttp.ClientSession() as session:

            async def again() -> None:
                nonlocal done
                while time.monotonic() < until:
                    async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                        await answer.read()
                    done += 1

            await asyncio.gather(*(again() for _ in range(32)))
        return done

    with endpoint(Behaviour(latency=0.0)) as url:
        return asyncio.run(ask(url)) / seconds


def main() -> None:
    """Run all cases; write the page if nothing was left out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--only", default=",".join([*CASES, "kills"]), help="cases, by their names in cases.py"
    )
    parser.add_argument("--tools", default=",".join(tool.name for tool in (STAGE, *PEERS)))
    arguments = parser.parse_args()
    chosen = [tool for tool in (STAGE, *PEERS) if tool.name in arguments.tools.split(",")]
    faults = {tool.name: prepare(tool) for tool in chosen}
    tools = [tool for tool in chosen if not faults[tool.name]]
    versions = ", ".join(peer.requirements[0].replace("==", " ") for peer in PEERS)
    load = f"load {os.getloadavg()[0]:.1f} at the start"
    lines = [
        "# Generation: the stage beside its peers",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {load}, "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}. Beside {versions}; each in an environment of its own, "
        "with the settings that its documentation has for the case (tools.py), or as installed. The endpoint "
        f"is a process of its own and answers {ceiling():.0f} calls a second, asked by a plain client.",
        "",
        "`run`: without start-up. `least`: what no client can beat (the stage asks for a plan first). "
        "`refused`: 429. `start`: until the first line that works. `CPU` and `MiB`: of all processes "
        "of the tool, start-up included.",
        "",
    ]
    print("\n".join(lines), flush=True)
    lines += [f"{name} cannot be installed: {fault}\n" for name, fault in faults.items() if fault]
    only = arguments.only.split(",")
    if "kills" in only:
        lines += kills.page()
    for case in CASES:
        if case in only:
            lines += page(case, tools)
    if arguments.only == parser.get_default("only") and arguments.tools == parser.get_default("tools"):
        (HERE / "results.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
