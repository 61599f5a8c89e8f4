"""Share of the answers that have the form that the request asks for."""

from tunesmith.metrics import METRICS
from tunesmith_jobs.evaluate.metrics.metric import ComparedRow, Comparison, Measured, Metric, count


def _measure(row: ComparedRow) -> Measured | None:
    base, merged = row.base.form_error, row.merged.form_error
    if base is None or merged is None:
        return None
    return Measured(float(not base), float(not merged))


def _sentence(compared: Comparison) -> str:
    rows = compared.gain.n
    valid, valid_before = count(compared.merged, rows), count(compared.base, rows)
    return f"{valid} of {rows} have the wanted form (base model: {valid_before})."


FORMAT_VALID = Metric(
    kind=METRICS["formatValid"],
    title="In the wanted form",
    help="share of the answers that meet evaluation.format",
    higher_is_better=True,
    measure=_measure,
    sentence=_sentence,
)
