"""The stage generate: a task -> a dataset. This file only connects.

Leaves train.jsonl, test.jsonl, validation.jsonl (with a share for it), system_message.txt, rejected.jsonl, plan.json (strategy plan) and
report.json. The rows come from a teacher (written.py), own data (own_data.py), or another run (from_run.py).
"""

import asyncio
import contextlib
import json
import time
from dataclasses import replace

from tunesmith.errors import BadData
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.generate import live_rate, written
from tunesmith_jobs.generate.budget import Ledger
from tunesmith_jobs.generate.dataset import Dataset, counted, distinctive
from tunesmith_jobs.generate.from_run import copy_dataset
from tunesmith_jobs.generate.gates import make_gates
from tunesmith_jobs.generate.journal import Journal
from tunesmith_jobs.generate.own_data import own_rows
from tunesmith_jobs.generate.report import asking_figures, report
from tunesmith_jobs.generate.runner import Patience, Runner
from tunesmith_jobs.generate.split import Split, split
from tunesmith_jobs.generate.teacher import Endpoint
from tunesmith_jobs.rows import write_rows


def work(attempt: Attempt) -> Outcome:
    """Check the whole request, then make the dataset."""
    from tunesmith_jobs.preflight import preflight

    facts = preflight(attempt)
    outcome = generate(attempt)
    return (
        outcome
        if facts is None
        else replace(outcome, metrics=outcome.metrics | {"baseBytes": float(facts.disk_bytes)})
    )


def generate(attempt: Attempt, patience: Patience | None = None) -> Outcome:
    """Make the dataset. `patience`: how long a teacher's faults are borne."""
    data = attempt.spec.data
    if data.from_ is not None:
        return copy_dataset(attempt)
    dataset = (
        own_rows(attempt)
        if data.source is not None
        else asyncio.run(_written(attempt, patience or Patience.from_environment()))
    )
    attempt.check_stop()
    _enough(dataset)
    parts = split([distinctive(row) for row in dataset.rows], data.split)
    return _leave(attempt, dataset, parts)


async def _written(attempt: Attempt, patience: Patience) -> Dataset:
    data, teacher = attempt.spec.data, attempt.spec.data.teacher
    journal = Journal(attempt.store, attempt.snapshot.run, attempt.id)
    await asyncio.to_thread(journal.load)
    ledger = Ledger(data.budget, frozenset({teacher.model, teacher.system_message_model or teacher.model}))
    for entry in journal.entries():
        ledger.spent_before(entry.model, entry.answer())
    gates = make_gates(
        time.monotonic(),
        most=teacher.max_concurrency,
        requests_per_minute=teacher.requests_per_minute,
        tokens_per_minute=teacher.tokens_per_minute,
        time_limit=patience.request,
    )
    dataset = Dataset(data.near_duplicates)
    async with Endpoint(teacher, timeout=patience.request) as endpoint:
        runner = Runner(endpoint, journal, ledger, gates, patience, say=attempt.say, seed=data.seed)
        _stop_with(attempt, runner)
        begun = time.monotonic()

        def accepted(rows: int) -> None:
            minutes = max(1e-9, (time.monotonic() - begun) / 60)
            spent = {"usd": round(ledger.usd, 6)} if ledger.priced else {}
            calls = {"inFlight": gates.in_flight, "callsPerMinute": round(runner.figures.calls / minutes, 1)}
            attempt.progress(
                rows,
                data.examples,
                "rows",
                phase=data.strategy,
                tokens=ledger.tokens,
                rejected=len(dataset.rejected),
                **calls,
                **spent,
            )

        accepted(0)
        following = asyncio.create_task(live_rate.follow(runner.limit_requests, attempt.say))
        await asyncio.sleep(0)  # it has looked once before the first request
        try:
            await runner.run(written.fill(runner.ask, attempt.spec, dataset, accepted))
        except BadData as error:
            if error.reason == "BudgetSpent":
                error.message += f"; {len(dataset.rows)} of {data.examples} rows were accepted"
            raise
        finally:
            following.cancel()
            await runner.drain()
        dataset.figures = asking_figures(
            runner.figures,
            seconds=time.monotonic() - begun,
            priced=ledger.priced,
            widest=teacher.max_concurrency,
            requests_per_minute=teacher.requests_per_minute,
        )
    return dataset


def _stop_with(attempt: Attempt, runner: Runner) -> None:
    loop = asyncio.get_running_loop()

    def told() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(runner.stop)

    attempt.on_stop(told)
    if attempt.stopping:
        runner.stop()


def _enough(dataset: Dataset) -> None:
    if len(dataset.rows) < 2:
        raise BadData(
            f"{len(dataset.rows)} row{'s' * (len(dataset.rows) != 1)} to train on, of {dataset.offered} read; "
            f"rejected: {counted(dataset.reasons())}",
            reason="TooFewRows",
            remedy="two rows are the least; give more, and ones that differ (data.nearDuplicates says how much)",
        )


def _leave(attempt: Attempt, dataset: Dataset, parts: Split) -> Outcome:
    """Store the files of the dataset."""
    figures = report(dataset, parts, task=attempt.spec.task)
    wanted = {"train": parts.train, "test": parts.test}
    if attempt.spec.data.split.validation > 0:
        wanted["validation"] = parts.validation
    for name, keys in wanted.items():
        attempt.put_bytes(f"{name}.jsonl", write_rows(dataset.rows[key] for key in keys))
    attempt.put_bytes("system_message.txt", dataset.system_message.encode())
    attempt.put_bytes("rejected.jsonl", dataset.rejected_lines())
    if dataset.plan is not None:
        attempt.put_bytes("plan.json", (dataset.plan.model_dump_json(indent=1) + "\n").encode())
    attempt.put_bytes("report.json", (json.dumps(figures, ensure_ascii=False, indent=1) + "\n").encode())
    attempt.say(
        f"{len(dataset.rows)} rows: {', '.join(f'{len(keys)} {name}' for name, keys in wanted.items())}"
    )
    if dataset.rejected:
        attempt.say(f"rejected: {counted(dataset.reasons())}")
    metrics = {
        "rows": float(len(dataset.rows)),
        **{f"rows{name.capitalize()}": float(len(keys)) for name, keys in wanted.items()},
    }
    metrics |= {
        name: float(dataset.figures[name])
        for name in ("calls", "callsReused", "usd")
        if name in dataset.figures
    }
    if dataset.figures:
        metrics["tokens"] = float(dataset.figures["inputTokens"] + dataset.figures["outputTokens"])
    metrics["rejected"] = float(len(dataset.rejected))
    return Outcome(metrics=metrics, details={"rejected": dict(dataset.reasons())})
