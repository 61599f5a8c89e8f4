"""Evaluate: the merged model, loaded back from the store, against its base model, from top to bottom.

Both answer the test split and the request's own prompts. Who is asked what: questions.py and ask.py; how
answers become figures: metrics/, bootstrap.py and findings.py; the words: verdict.py; the report: compose.py
and page.py.
"""

from collections.abc import Mapping

from pydantic import JsonValue

from tunesmith.errors import Gone
from tunesmith_jobs import model_card
from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import open_base
from tunesmith_jobs.device import find_device
from tunesmith_jobs.evaluate import page
from tunesmith_jobs.evaluate.ask import Asking
from tunesmith_jobs.evaluate.compose import Inputs, compose
from tunesmith_jobs.evaluate.findings import conclude, manifest_metrics, with_given_up
from tunesmith_jobs.evaluate.metrics import METRICS
from tunesmith_jobs.evaluate.metrics.metric import Comparison
from tunesmith_jobs.evaluate.partial_results import PartialResults
from tunesmith_jobs.evaluate.questions import Questions
from tunesmith_jobs.evaluate.report import Report
from tunesmith_jobs.evaluate.verdict import Verdict
from tunesmith_jobs.given_secrets import hub_token
from tunesmith_jobs.rows import read_rows


def work(attempt: Attempt) -> Outcome:
    """Ask both models, compare them, and leave report.html, report.json, answers.jsonl and the model card."""
    device = find_device(attempt.spec.training.device)
    inputs = read_inputs(attempt)
    evaluation = attempt.spec.evaluation
    with answer_check(evaluation.format):
        pass  # a form that cannot be checked is found before the models are asked
    rows = read_rows(inputs.data.read("test.jsonl"), "test.jsonl")
    answered = min(evaluation.answers, len(rows))
    questions = Questions(inputs.system, rows, answered, evaluation.prompts)

    results = ask_both(attempt, inputs, questions, device.kind)

    with answer_check(evaluation.format) as check:
        findings = conclude(questions, results, check, seed=evaluation.seed)
        findings = with_given_up(findings, check.given_up if check is not None else 0)
    attempt.say(findings.verdict.sentence)
    report = compose(attempt, inputs, findings, device.name)
    leave(attempt, report)
    if inputs.model_card is not None:
        leave_card(attempt, inputs.model_card, findings.comparisons)
    counts = {"rows": float(len(rows)), "answers": float(answered)}
    return Outcome(
        metrics=manifest_metrics(findings.comparisons) | counts,
        details={"verdict": verdict_details(findings.verdict)},
    )


def read_inputs(attempt: Attempt) -> Inputs:
    """What the stages before left. Raises Gone if train did not record its base model."""
    data = attempt.finished("generate")
    trained = attempt.finished("train")
    merged = attempt.finished("merge")
    base = trained.manifest.pins.get("base")
    if base is None:
        raise Gone(
            "train's manifest does not say which base model it used",
            remedy="set `rerun: {from: train, id: <new>}`",
        )
    attempt.pins["base"] = base
    system = data.read("system_message.txt").decode()
    return Inputs(data, trained, merged, base, system)


def ask_both(attempt: Attempt, inputs: Inputs, questions: Questions, device: str) -> PartialResults:
    """All results of both models, those of earlier attempts among them."""
    results = PartialResults(attempt)
    if len(results):
        attempt.say(f"{len(results)} of {2 * questions.total} results are there from an earlier attempt")
    asking = Asking(attempt, questions, results, device)
    token = hub_token()
    asking.ask("base", lambda: open_base(inputs.base, attempt.work, token=token))
    asking.ask("merged", lambda: inputs.merged.folder("model/"))
    return results


def leave(attempt: Attempt, report: Report) -> None:
    """Store the report as data and as a page, and the answers."""
    attempt.put_bytes("report.json", report.to_bytes())
    attempt.put_bytes("report.html", page.render(report).encode())
    lines = (answer.model_dump_json(by_alias=True, exclude_none=True) for answer in report.answers)
    attempt.put_bytes("answers.jsonl", "".join(f"{line}\n" for line in lines).encode())


def leave_card(attempt: Attempt, facts: JsonValue, comparisons: Mapping[str, Comparison | None]) -> None:
    """Store merge's model card again, now with the table of both models."""
    table = [
        model_card.TableRow(
            metric=METRICS[name].card_title,
            rows=compared.gain.n,
            base=compared.base,
            tuned=compared.merged,
            gain=compared.gain.value,
            low=compared.gain.low,
            high=compared.gain.high,
        )
        for name, compared in comparisons.items()
        if compared is not None
    ]
    card = model_card.render(model_card.Facts.model_validate(facts), table)
    attempt.put_bytes("README.md", card.encode())


def verdict_details(verdict: Verdict) -> dict[str, JsonValue]:
    """The verdict as the manifest keeps it."""
    return {"level": verdict.level, "sentence": verdict.sentence, "notes": list(verdict.notes)}
