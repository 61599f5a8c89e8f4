"""Share of the answers that are the expected one."""

from tunesmith.metrics import METRICS
from tunesmith_jobs.evaluate.metrics.metric import ComparedRow, Comparison, Measured, Metric, count


def is_exact(answer: str, expected: str) -> bool:
    """Whether an answer is the expected one, but for white space around it."""
    return answer.strip() == expected.strip()


def _measure(row: ComparedRow) -> Measured | None:
    base, merged = row.base.answer, row.merged.answer
    if base is None or merged is None:
        return None
    return Measured(float(is_exact(base, row.expected)), float(is_exact(merged, row.expected)))


def _sentence(compared: Comparison) -> str:
    rows = compared.gain.n
    if not compared.merged and not compared.base:
        return f"None of the {rows} test answers is exactly right, with either model."
    right, right_before = count(compared.merged, rows), count(compared.base, rows)
    return f"{right} of {rows} test answers are exactly right (base model: {right_before})."


EXACT_MATCH = Metric(
    kind=METRICS["exactMatch"],
    title="Exactly right",
    help="share of the answers that equal the expected one, apart from white space around it",
    higher_is_better=True,
    measure=_measure,
    sentence=_sentence,
)
