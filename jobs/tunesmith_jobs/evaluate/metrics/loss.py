"""Loss on the expected answers, over all tokens of the test split."""

from tunesmith.metrics import METRICS
from tunesmith_jobs.evaluate.metrics.metric import ComparedRow, Comparison, Measured, Metric


def _measure(row: ComparedRow) -> Measured | None:
    base, merged = row.base.loss, row.merged.loss
    if base.tokens == 0:
        return None
    return Measured(base.nats, merged.nats, weight=base.tokens)


def _sentence(compared: Comparison) -> str:
    base, merged = f"{compared.base:.3f}", f"{compared.merged:.3f}"
    if compared.gain.value == 0:
        return f"The loss on the test rows stayed at {merged} nats per token."
    verb = "fell" if compared.gain.value > 0 else "rose"
    return f"The loss on the test rows {verb} from {base} to {merged} nats per token."


LOSS = Metric(
    kind=METRICS["loss"],
    title="Loss on the test rows",
    help="nats per token of the expected answers; lower is better",
    higher_is_better=False,
    measure=_measure,
    sentence=_sentence,
)
