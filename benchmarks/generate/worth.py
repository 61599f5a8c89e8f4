"""What the filters of rows are worth to the model that is trained on them.

    python benchmarks/generate/worth.py [--calls 160] [--seeds 3] [--model DIR]

The demo's task and model. A scripted teacher plants faults in a fifth of the pairs it writes, 5 % each: an
answer that declines, one in another language, one in another form, a wrong one. It judges as rows.py says.
Every way to screen gets the rows that the same number of paid calls yields. Its model is asked the same 60
messages, which are free of faults: how many answers are exactly right? Prints a table and writes it to
worth.md next to this file. About an hour on two CPU cores.
"""

import argparse
import asyncio
import json
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

from benchmarks.generate.rows import FALSE_ALARMS, KINDS, MISSES, SHARE, finds_fault
from tests.scripted import PATIENT, in_a_thread
from tests.stages import put_dataset, run_module, snapshot_for
from tunesmith.documents import read_documents
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.evaluate.metrics.exact_match import is_exact
from tunesmith_jobs.generate import judge, prompts
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.storage import open_store
from tunesmith_tryout.scripted_teacher import support
from tunesmith_tryout.scripted_teacher.answers import completion

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
QUICKSTART = ROOT / "examples" / "quickstart.yaml"
TESTS = 60
DECLINES = (
    "I'm sorry, but I can't help with that request.",
    "As an AI language model, I cannot read customers' messages.",
    "I must decline to answer this.",
)
ELSEWHERE = (
    "Die Nachricht betrifft {product}; die Kategorie ist {category} und die Dringlichkeit ist {priority}.",
    "Le message concerne {product} : la catégorie est {category} et la priorité est {priority}.",
    "El mensaje trata de {product}; la categoría es {category} y la prioridad es {priority}.",
)
ARMS = ("as written", "filters", "filters and a judge")


@dataclass(frozen=True)
class Written:
    """A pair as the teacher wrote it, and what is wrong with it (`good`: nothing)."""

    prompt: str
    response: str
    kind: str


class Planting:
    """A teacher and judge that knows what it has planted, and counts the calls that each cell took."""

    def __init__(self, seed: int) -> None:
        self.calls: Counter[int] = Counter()
        self.written: dict[int, Written] = {}
        self._seed = seed

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        messages = [message["content"] for message in body["messages"]]
        return web.json_response(completion(body, self._say(messages, body)))

    def _say(self, messages: Sequence[str], body: dict[str, Any]) -> str:
        system, text = messages[0], messages[-1]
        if system.startswith(prompts.PLAN):
            return json.dumps(support.plan())
        if system.startswith(prompts.SYSTEM_MESSAGE):
            return support.SYSTEM_MESSAGE
        if system.startswith(prompts.PAIRS):
            number = int(text.split("Example number ")[1].split(":")[0]) - 1
            written = self.written[number] = pair(self._seed, number, text)
            self.calls[number] += 1
            return json.dumps({"pairs": [{"prompt": written.prompt, "response": written.response}]})
        assert system.startswith((judge.JUDGE, judge.JUDGE_AGAIN))
        number = next(each for each, written in self.written.items() if written.prompt in text)
        self.calls[number] += 1
        question = f"{self._seed} {number} {system[:40]} {body['temperature']}"
        says_bad = finds_fault(question, bad=self.written[number].kind != "good")
        return json.dumps({"reason": "(scripted)", "score": 2 if says_bad else 5})


def pair(seed: int, number: int, about: str) -> Written:
    """What the teacher writes for a cell."""
    draw = random.Random(f"{seed} {number}")
    prompt, right = support.pair(draw, about)
    place = int(draw.random() / SHARE)
    kind = KINDS[place] if place < len(KINDS) else "good"
    members = json.loads(right)
    category = draw.choice([other for other in support.SYMPTOMS if other != members["category"]])
    response = {
        "good": right,
        "declines": draw.choice(DECLINES),
        "language": draw.choice(ELSEWHERE).format(**members),
        "form": f"Category: {members['category']}\nPriority: {members['priority']}",
        "wrong": json.dumps(members | {"category": category}, separators=(",", ":")),
    }[kind]
    return Written(prompt, response, kind)


def rows_of(arm: str, seed: int, calls: int) -> tuple[list[dict[str, str]], Counter[str]]:
    """The rows that so many calls give, and what is wrong with them."""
    spec = read_documents(QUICKSTART.read_text())[0]["spec"]
    screened = {"judge": {"threshold": 4}} if arm == "filters and a judge" else {}
    with tempfile.TemporaryDirectory() as folder:
        server = Planting(seed)
        with in_a_thread(server) as url:
            teacher = {"model": "planting", "baseURL": url}
            spec["data"] = {"examples": calls, "seed": seed, "teacher": teacher, **screened}
            store = open_store(Path(folder, "store").as_uri())
            attempt = Attempt("generate", snapshot_for(spec), store, Path(folder), "a")
            dataset = asyncio.run(dataset_from_teacher(attempt, PATIENT))
    paid, cells = 0, []
    for number in sorted(server.written):
        paid += server.calls[number] if arm != "as written" else 1
        if paid > calls:
            break
        cells.append(number)
    kept = {row.prompt for row in dataset.rows}
    written = [server.written[number] for number in cells]
    if arm != "as written":
        written = [each for each in written if each.prompt in kept]
    rows = [{"prompt": each.prompt, "response": each.response} for each in written]
    return rows, Counter(each.kind for each in written)


def right_of(model: Path, rows: Sequence[dict[str, str]], seed: int) -> tuple[list[bool], float]:
    """Which of the clean messages a model answers exactly right that was trained on rows; seconds it took."""
    spec = read_documents(QUICKSTART.read_text())[0]["spec"]
    spec["model"] = {"base": model.as_uri()}
    spec["data"] = {}
    spec["training"] |= {"device": "cpu", "seed": seed}
    spec["evaluation"] = {"maxNewTokens": 48, "answers": TESTS}
    snapshot = snapshot_for(spec)
    tests = [pair_of_tests(number) for number in range(TESTS)]
    with tempfile.TemporaryDirectory() as folder:
        url = Path(folder, "store").as_uri()
        put_dataset(
            snapshot, url, Path(folder, "data"), train=rows, test=tests, system=support.SYSTEM_MESSAGE
        )
        began = time.monotonic()
        for stage in ("train", "merge", "evaluate"):
            ran = run_module(f"tunesmith_jobs.{stage}", snapshot, url, Path(folder), timeout=3600)
            if ran.returncode:
                sys.exit(f"{stage} ended with {ran.returncode}:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
        answers = next(Path(folder, "store").glob("r/evaluate/*/attempts/*/answers.jsonl"))
        said = {each["prompt"]: each for each in map(json.loads, answers.read_text().splitlines())}
    return [
        is_exact(said[test["prompt"]]["merged"], test["response"]) for test in tests
    ], time.monotonic() - began


def pair_of_tests(number: int) -> dict[str, str]:
    """A clean message, of draws that no teacher's pair comes from."""
    prompt, response = support.pair(random.Random(f"test {number}"), "")
    return {"prompt": prompt, "response": response}


def interval(right: Sequence[Sequence[bool]]) -> tuple[float, float]:
    """95 % of the mean over seeds and messages: seeds are drawn, and messages within them (bootstrap)."""
    table, draw = np.array(right, dtype=float), np.random.default_rng(0)
    seeds, messages = table.shape
    means = [
        table[draw.integers(seeds, size=seeds)][:, draw.integers(messages, size=messages)].mean()
        for _ in range(10_000)
    ]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def lines_of(results: dict[str, list[tuple[list[bool], Counter[str]]]]) -> Iterator[str]:
    """The rows of the table."""
    for arm, runs in results.items():
        right = [each for each, _ in runs]
        low, high = interval(right)
        kinds = sum((kinds for _, kinds in runs), Counter[str]())
        faulty = kinds.total() - kinds["good"]
        shares = ", ".join(f"{sum(each) / len(each):.0%}" for each in right)
        yield (
            f"| {arm} | {kinds.total() / len(runs):.0f} | {faulty / kinds.total():.1%} | {shares} "
            f"| {sum(map(sum, right)) / sum(map(len, right)):.1%} | {low:.0%} to {high:.0%} |"
        )


def main() -> int:
    """Run every arm with every seed; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", type=Path, default=ROOT / "examples/models/SmolLM2-135M-Instruct")
    arguments = parser.parse_args()
    results: dict[str, list[tuple[list[bool], Counter[str]]]] = {arm: [] for arm in ARMS}
    for seed in range(arguments.seeds):
        for arm in ARMS:
            rows, kinds = rows_of(arm, seed, arguments.calls)
            right, seconds = right_of(arguments.model.resolve(), rows, seed)
            results[arm].append((right, kinds))
            print(
                f"seed {seed}, {arm}: {len(rows)} rows ({dict(kinds)}), {sum(right)} of {TESTS} right, "
                f"{seconds:.0f} s",
                flush=True,
            )
    text = "\n".join(
        [
            "# What filters are worth to the model",
            "",
            f"{arguments.calls} paid calls in every arm, {arguments.seeds} seeds, the demo's task and model "
            f"(135 million parameters); {TESTS} messages without faults are asked. The teacher plants 5 % "
            "each of answers that decline, are in another language, in another form, or wrong; the judge "
            f"misses {MISSES:.0%} of the faulty rows, and finds fault with {FALSE_ALARMS:.0%} of the others. "
            f"{platform.machine()}, Python {platform.python_version()}.",
            "",
            "| rows | number | faulty | exactly right, by seed | in all | 95 % interval |",
            "| --- | --- | --- | --- | --- | --- |",
            *lines_of(results),
            "",
        ]
    )
    (HERE / "worth.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
