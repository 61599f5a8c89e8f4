"""Generation next to asking one by one, as the original notebook does.

    python benchmarks/generate/run.py [--rows 200]

Both ask a scripted teacher on this machine, so what is measured is the way of asking, not a model. Each run
is a process of its own. Prints a table and writes it to results.md next to this file.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TASK = "A support desk assistant: turns a customer's message into JSON with category, priority and product."
BORN = "BENCHMARK_BORN"  # when the process was started, seconds since the epoch
# What the endpoint does, latency in s, requests a second (0: any), faults, least possible time in s for n
# requests
CASES = (
    ("every answer takes 0.5 s", 0.5, 0, (), lambda n: 1.0),  # noqa: ARG005 - plan first, then all at once
    ("0.5 s, 20 requests/s, else 429", 0.5, 20, (), lambda n: 0.5 + (n - 20) / 20 + 0.5),
    ("0.5 s, every 10th request fails (500)", 0.5, 0, ("error,every=10",), lambda n: 1.0),  # noqa: ARG005
    ("answers at once", 0.0, 0, (), lambda n: 0.0),  # noqa: ARG005
)


@contextlib.contextmanager
def teacher(latency: float, rate: float, faults: tuple[str, ...]) -> Iterator[str]:
    """The address of a scripted teacher in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "tunesmith_tryout.scripted_teacher",
        "--latency",
        str(latency),
        "--rate",
        str(rate),
    ]
    command += [f"--fail={fault}" for fault in faults]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def measure(kind: str, url: str, rows: int) -> dict[str, float]:
    """One run in a process of its own: seconds to start and to run, peak memory in MiB, rows."""
    environment = {**os.environ, BORN: str(time.time())}
    command = [sys.executable, __file__, "--child", kind, "--url", url, "--rows", str(rows)]
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def attempt(url: str, rows: int) -> int:
    """Our stage, from reading the journal to the files of the dataset, in a folder store."""
    from tunesmith.plan import snapshot
    from tunesmith.request import parse
    from tunesmith_jobs.attempt import Attempt
    from tunesmith_jobs.generate.work import generate
    from tunesmith_jobs.storage import open_store

    data = {"examples": rows, "teacher": {"model": "scripted", "baseURL": url}}
    document = {
        "apiVersion": "tunesmith.dev/v1alpha1",
        "kind": "TrainingRequest",
        "metadata": {"name": "benchmark"},
        "spec": {"task": TASK, "model": {"base": "hf://none/none"}, "data": data},
    }
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder, "store").as_uri())
        outcome = generate(Attempt("generate", snapshot(parse(document), run="r"), store, Path(folder), "a"))
    return int(outcome.metrics["rows"])


def one_by_one(url: str, rows: int) -> int:
    """The original's loop: ten random earlier answers are fed back; exact duplicates are dropped."""
    import random

    import openai

    from tunesmith_jobs.generate.prompts import CHAIN

    client = openai.OpenAI(api_key="none", base_url=url)
    answers: list[str] = []
    for number in range(rows):
        messages = [{"role": "system", "content": CHAIN}, {"role": "user", "content": f"{TASK} ({number})"}]
        messages += [
            {"role": "assistant", "content": text} for text in random.sample(answers, min(10, len(answers)))
        ]
        reply = client.chat.completions.create(
            model="scripted",
            messages=messages,  # type: ignore[arg-type] # plain dicts
            temperature=0.4,
            max_tokens=1354,
        )
        answers.append(reply.choices[0].message.content or "")
    return len(set(answers))


def child(kind: str, url: str, rows: int) -> None:
    """What a measured process does; prints its figures as JSON."""
    import openai  # noqa: F401 - counts as start-up for both

    begun = time.time()
    done = attempt(url, rows) if kind == "stage" else one_by_one(url, rows)
    now = time.time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"start": begun - float(os.environ[BORN]), "run": now - begun, "peak": peak, "rows": done})
    )


def main() -> None:
    """Run all cases, print and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--child", choices=("stage", "one-by-one"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.url, arguments.rows)
        return
    day = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [
        f"# Generation: {arguments.rows} rows, the stage next to one by one",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {day}. "
        "`least`: what no client can beat. "
        "`start`: from the process's start to the first line that works, imports included.",
        "",
        "| endpoint | least s | stage: start s | run s | MiB "
        "| one by one: start s | run s | MiB | times faster (run) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines))
    for name, latency, rate, faults, least in CASES:
        figures = []
        for kind in ("stage", "one-by-one"):
            with teacher(latency, rate, faults) as url:
                figures.append(measure(kind, url, arguments.rows))
        cells = [
            f"{figure[part]:.{digits}f}"
            for figure in figures
            for part, digits in (("start", 2), ("run", 2), ("peak", 0))
        ]
        faster = figures[1]["run"] / figures[0]["run"]
        line = f"| {name} | {least(arguments.rows):.1f} | {' | '.join(cells)} | {faster:.1f} |"
        print(line, flush=True)
        lines.append(line)
    (HERE / "results.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
