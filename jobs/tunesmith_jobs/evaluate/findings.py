"""Turns the results of both models into findings: answers, comparisons and a verdict. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith_jobs.answer_format.check import FormatCheck
from tunesmith_jobs.evaluate.metrics import METRICS
from tunesmith_jobs.evaluate.metrics.exact_match import is_exact
from tunesmith_jobs.evaluate.metrics.metric import ComparedRow, Comparison, ModelResult
from tunesmith_jobs.evaluate.partial_results import ModelName, PartialResults
from tunesmith_jobs.evaluate.questions import Questions
from tunesmith_jobs.evaluate.report import Answer
from tunesmith_jobs.evaluate.verdict import Verdict, verdict_on
from tunesmith_jobs.rows import Row


@dataclass(frozen=True)
class Findings:
    """What evaluate found. `answers`: those to test rows first, then those to the request's own prompts."""

    answers: tuple[Answer, ...]
    comparisons: Mapping[str, Comparison | None]
    verdict: Verdict


def conclude(
    questions: Questions, results: PartialResults, check: FormatCheck | None, *, seed: int
) -> Findings:
    """Everything that the results show.

    `check`: of an answer's form, if one is asked for; `seed`: of the bootstrap.
    """
    rows = compared_rows(questions, results, check)
    comparisons = compare(rows, seed=seed)
    answers = (
        *(_test_answer(row, compared) for row, compared in zip(questions.rows, rows, strict=True)),
        *_prompt_answers(questions, results, check),
    )
    return Findings(
        answers=tuple(answer for answer in answers if answer is not None),
        comparisons=comparisons,
        verdict=verdict_on(comparisons),
    )


def with_given_up(findings: Findings, given_up: int) -> Findings:
    """The findings, with a note on the answers whose form could not be checked."""
    if not given_up:
        return findings
    answers = "1 answer was" if given_up == 1 else f"{given_up} answers were"
    note = (
        f"The form of {answers} not checked, since evaluation.format takes too long on them; they count as "
        "answers without the form. A simpler regular expression or schema helps."
    )
    verdict = replace(findings.verdict, notes=(*findings.verdict.notes, note))
    return replace(findings, verdict=verdict)


def compared_rows(
    questions: Questions, results: PartialResults, check: FormatCheck | None
) -> list[ComparedRow]:
    """All test rows with what both models made of them."""
    base = _model_results("base", questions, results, check)
    merged = _model_results("merged", questions, results, check)
    return [
        ComparedRow(row.response, of_base, of_merged)
        for row, of_base, of_merged in zip(questions.rows, base, merged, strict=True)
    ]


def _model_results(
    name: ModelName, questions: Questions, results: PartialResults, check: FormatCheck | None
) -> list[ModelResult]:
    losses = results.losses(name, len(questions.rows))
    answers = results.answers(name, "test", questions.answered)
    answered = [
        ModelResult(loss, answer, _checked(check, answer))
        for loss, answer in zip(losses, answers, strict=False)
    ]
    return answered + [ModelResult(loss) for loss in losses[questions.answered :]]


def _checked(check: FormatCheck | None, answer: str) -> str | None:
    return None if check is None else check(answer)


def compare(rows: Sequence[ComparedRow], *, seed: int) -> dict[str, Comparison | None]:
    """Both models on every metric; None for one that no row was measured on."""
    return {name: metric.compare(rows, seed=seed) for name, metric in METRICS.items()}


def manifest_metrics(comparisons: Mapping[str, Comparison | None]) -> dict[str, float]:
    """The figures by the names that the gate and `status` know: `lossBase`, `lossMerged`, `lossGain`,
    `lossGainLow`, …

    Without rows a figure is left out; with one row its interval is, since one row can't show a spread.
    """
    figures: dict[str, float] = {}
    for name, comparison in comparisons.items():
        if comparison is None:
            continue
        kind, gain = METRICS[name].kind, comparison.gain
        figures |= {kind.base: comparison.base, kind.merged: comparison.merged, kind.gain: gain.value}
        if gain.low is not None and gain.high is not None:
            figures |= {kind.gain_low: gain.low, kind.gain_high: gain.high}
    return figures


def _test_answer(row: Row, compared: ComparedRow) -> Answer | None:
    """Both models' answers to a test row; None if they were not asked for."""
    base, merged = compared.base, compared.merged
    if base.answer is None or merged.answer is None:
        return None
    return Answer(
        kind="test",
        id=row.id,
        prompt=row.prompt,
        history=tuple({"role": turn.role, "content": turn.content} for turn in row.history),
        system=row.system,
        expected=row.response,
        base=base.answer,
        merged=merged.answer,
        exact_base=is_exact(base.answer, row.response),
        exact_merged=is_exact(merged.answer, row.response),
        wrong_form_base=base.form_error,
        wrong_form_merged=merged.form_error,
        loss_base=base.loss.per_token,
        loss_merged=merged.loss.per_token,
    )


def _prompt_answers(questions: Questions, results: PartialResults, check: FormatCheck | None) -> list[Answer]:
    count = len(questions.prompts)
    of_base = results.answers("base", "prompt", count)
    of_merged = results.answers("merged", "prompt", count)
    return [
        Answer(
            kind="prompt",
            id=f"prompt-{number}",
            prompt=prompt,
            base=base,
            merged=merged,
            wrong_form_base=_checked(check, base),
            wrong_form_merged=_checked(check, merged),
        )
        for number, (prompt, base, merged) in enumerate(
            zip(questions.prompts, of_base, of_merged, strict=True), start=1
        )
    ]
