"""The stage: the merged model, loaded back from the store, beside its base model on the test split and the request's own prompts.

This file only connects. Who says what: ask.py; figures: scoring.py and bootstrap.py; words: verdict.py; the page: page.py.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from tunesmith.errors import Gone
from tunesmith.manifest import Pin
from tunesmith_jobs import model_card
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import open_base
from tunesmith_jobs.device import find_device
from tunesmith_jobs.evaluate import page, report
from tunesmith_jobs.evaluate.ask import Questions, ask
from tunesmith_jobs.evaluate.kept import Kept
from tunesmith_jobs.evaluate.report import Answer, Report
from tunesmith_jobs.evaluate.scoring import (
    Comparison,
    Judge,
    RowLoss,
    compare_losses,
    compare_shares,
    format_judge,
    is_exact,
    metrics,
)
from tunesmith_jobs.evaluate.verdict import Verdict, judge
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.rows import read_rows
from tunesmith_jobs.versions import versions

_TABLE = {
    "loss": "loss on the test rows (nats per token)",
    "exactMatch": "exactly right",
    "formatValid": "in the wanted form",
}


def work(attempt: Attempt) -> Outcome:
    """Ask both models, compare them, and leave report.html, report.json, answers.jsonl and the model card."""
    device = find_device(attempt.spec.training.device)
    data, trained, merged = attempt.finished("generate"), attempt.finished("train"), attempt.finished("merge")
    if (pin := trained.manifest.pins.get("base")) is None:
        raise Gone(
            "train's manifest does not say which base model it used",
            remedy="set `rerun: {from: train, id: <new>}`",
        )
    attempt.pins["base"] = pin
    wanted = attempt.spec.evaluation
    judged = format_judge(wanted.format)
    rows = read_rows(data.read("test.jsonl"), "test.jsonl")
    system = data.read("system_message.txt").decode()
    asked = Questions(system, rows, answered=min(wanted.answers, len(rows)), prompts=wanted.prompts)

    kept = Kept(attempt)
    if len(kept):
        attempt.say(f"{len(kept)} of {2 * asked.total} results are there from an earlier attempt")
    ask(
        attempt,
        kept,
        "base",
        asked,
        lambda: open_base(pin, attempt.work, token=os.environ.get("HF_TOKEN")),
        device.kind,
    )
    ask(attempt, kept, "merged", asked, lambda: merged.folder("model/"), device.kind)

    answers = _answers(asked, kept, judged)
    comparisons = _compare(kept, asked, answers, seed=wanted.seed)
    verdict = judge(comparisons["loss"], comparisons["exactMatch"], comparisons["formatValid"])
    attempt.say(verdict.sentence)
    found = _report(attempt, data, trained, merged, pin, answers, comparisons, verdict, system, device.name)
    _leave(attempt, merged, found, comparisons)
    rest = {"rows": float(len(rows)), "answers": float(asked.answered)}
    return Outcome(metrics=metrics(comparisons) | rest, details={"verdict": report.spoken(verdict)})


def _answers(asked: Questions, kept: Kept, judged: Judge | None) -> list[Answer]:
    """Everything said: test rows first, then the request's own prompts."""
    found: list[Answer] = []
    said = zip(
        kept.answers("base", "test", asked.answered),
        kept.answers("merged", "test", asked.answered),
        strict=True,
    )
    losses = zip(kept.losses("base", len(asked.rows)), kept.losses("merged", len(asked.rows)), strict=True)
    for row, (base, merged), (loss_base, loss_merged) in zip(
        asked.rows[: asked.answered], said, losses, strict=False
    ):
        found.append(
            Answer(
                kind="test",
                id=row.id,
                prompt=row.prompt,
                history=tuple(turn.model_dump() for turn in row.history),
                system=row.system,
                expected=row.response,
                base=base,
                merged=merged,
                exact_base=is_exact(base, row.response),
                exact_merged=is_exact(merged, row.response),
                wrong_form_base=judged(base) if judged else None,
                wrong_form_merged=judged(merged) if judged else None,
                loss_base=_mean(loss_base),
                loss_merged=_mean(loss_merged),
            )
        )
    pairs = zip(
        kept.answers("base", "prompt", len(asked.prompts)),
        kept.answers("merged", "prompt", len(asked.prompts)),
        strict=True,
    )
    for number, (prompt, (base, merged)) in enumerate(zip(asked.prompts, pairs, strict=True), start=1):
        wrong = (judged(base), judged(merged)) if judged else (None, None)
        found.append(
            Answer(
                kind="prompt",
                id=f"prompt-{number}",
                prompt=prompt,
                base=base,
                merged=merged,
                wrong_form_base=wrong[0],
                wrong_form_merged=wrong[1],
            )
        )
    return found


def _mean(loss: RowLoss) -> float | None:
    return loss.nats / loss.tokens if loss.tokens else None


def _compare(
    kept: Kept, asked: Questions, answers: Sequence[Answer], *, seed: int
) -> dict[str, Comparison | None]:
    tests = [answer for answer in answers if answer.kind == "test"]
    valid = [answer for answer in tests if answer.wrong_form_base is not None]
    return {
        "loss": compare_losses(
            kept.losses("base", len(asked.rows)), kept.losses("merged", len(asked.rows)), seed=seed
        ),
        "exactMatch": compare_shares(
            [one.exact_base is True for one in tests], [one.exact_merged is True for one in tests], seed=seed
        ),
        "formatValid": compare_shares(
            [not one.wrong_form_base for one in valid],
            [not one.wrong_form_merged for one in valid],
            seed=seed,
        ),
    }


def _report(
    attempt: Attempt,
    data: Finished,
    trained: Finished,
    merged: Finished,
    pin: Pin,
    answers: Sequence[Answer],
    comparisons: Mapping[str, Comparison | None],
    verdict: Verdict,
    system: str,
    device: str,
) -> Report:
    figures = _json(data, "report.json")
    card = merged.manifest.details.get("modelCard")
    dataset = card.get("dataset") if isinstance(card, Mapping) else None
    asked = figures.get("teacher")
    own = report.StageFacts(
        name="evaluate",
        key=attempt.key,
        attempt=attempt.id,
        seconds=round(time.monotonic() - attempt.started, 3),
        bytes=0,
        created=None,
        versions=versions(),
    )
    return Report(
        name=attempt.snapshot.name,
        run=attempt.snapshot.run,
        namespace=attempt.snapshot.namespace,
        created=datetime.now(UTC),
        task=attempt.spec.task,
        system_message=system,
        level=verdict.level,
        lead=verdict.lead,
        detail=verdict.detail,
        notes=verdict.notes,
        figures=report.figures(comparisons),
        answers=tuple(answers),
        curve=report.curve(trained.read("history.jsonl")) if "history.jsonl" in trained.names() else (),
        data=figures,
        teacher=report.teacher_facts(
            dataset if isinstance(dataset, Mapping) else {},
            data.manifest.metrics,
            asked if isinstance(asked, Mapping) else {},
        ),
        training=_json(trained, "report.json"),
        merge=_json(merged, "report.json"),
        settings=report.settings(attempt.snapshot),
        stages=(*(report.stage_facts(one.manifest) for one in (data, trained, merged)), own),
        pins={**data.manifest.pins, "base": pin},
        model_files=tuple(file for file in merged.manifest.files if file.path.startswith("model/")),
        device=device,
        max_new_tokens=attempt.spec.evaluation.max_new_tokens,
    )


def _json(finished: Finished, name: str) -> dict[str, JsonValue]:
    """A stage's report, empty if it has none."""
    found = json.loads(finished.read(name)) if name in finished.names() else {}
    return found if isinstance(found, dict) else {}


def _leave(
    attempt: Attempt, merged: Finished, found: Report, comparisons: Mapping[str, Comparison | None]
) -> None:
    attempt.put_bytes("report.json", found.to_bytes())
    attempt.put_bytes("report.html", page.render(found).encode())
    lines = (answer.model_dump_json(by_alias=True, exclude_none=True) for answer in found.answers)
    attempt.put_bytes("answers.jsonl", "".join(f"{line}\n" for line in lines).encode())
    if (facts := merged.manifest.details.get("modelCard")) is not None:
        table = [
            model_card.Comparison(
                _TABLE[name], one.gain.n, one.base, one.merged, one.gain.value, one.gain.low, one.gain.high
            )
            for name, one in comparisons.items()
            if one is not None
        ]
        attempt.put_bytes(
            "README.md", model_card.render(model_card.Facts.model_validate(facts), table).encode()
        )
