"""What a metric is: how both models are measured on a row, compared over rows, and put into words. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tunesmith.metrics import MetricKind
from tunesmith_jobs.evaluate.bootstrap import Gain, gain
from tunesmith_jobs.row_loss import RowLoss


@dataclass(frozen=True)
class ModelResult:
    """What one model made of a test row.

    `answer`: None where the loss alone was measured.
    `form_error`: what is wrong with the answer's form, empty if nothing is; None if no form is asked for.
    """

    loss: RowLoss
    answer: str | None = None
    form_error: str | None = None


@dataclass(frozen=True)
class ComparedRow:
    """A test row: the expected answer, and what both models made of it."""

    expected: str
    base: ModelResult
    merged: ModelResult


@dataclass(frozen=True)
class Measured:
    """A metric on one row: both models' values, and the weight that the row has among all rows.

    The figure of a model is the sum of its values over the sum of the weights.
    """

    base: float
    merged: float
    weight: float = 1.0


@dataclass(frozen=True)
class Comparison:
    """A figure of both models over the same rows, in the metric's unit, and the gain, positive for better."""

    base: float
    merged: float
    gain: Gain


@dataclass(frozen=True)
class Metric:
    """A metric of the evaluation.

    `title`, `help`: its heading in the report, and the line that explains it there.
    `measure`: both models on one row; None for a row that does not count.
    `sentence`: what the verdict says about the comparison.
    """

    kind: MetricKind
    title: str
    help: str
    higher_is_better: bool
    measure: Callable[[ComparedRow], Measured | None]
    sentence: Callable[[Comparison], str]

    @property
    def name(self) -> str:
        """Its name in requests, manifests and report.json."""
        return self.kind.name

    @property
    def card_title(self) -> str:
        """Its name in the model card's table."""
        title = f"{self.title[0].lower()}{self.title[1:]}"
        return title if self.kind.unit == "share" else f"{title} ({self.kind.unit})"

    def compare(self, rows: Iterable[ComparedRow], *, seed: int) -> Comparison | None:
        """Both models over all rows that count, with the gain's bootstrap interval; None if no row counts."""
        measured = [values for row in rows if (values := self.measure(row)) is not None]
        differences = [self._gained(values) for values in measured]
        weights = [values.weight for values in measured]
        gained = gain(differences, weights, seed=seed)
        if gained is None:
            return None
        total = sum(weights)
        return Comparison(
            base=sum(values.base for values in measured) / total,
            merged=sum(values.merged for values in measured) / total,
            gain=gained,
        )

    def _gained(self, values: Measured) -> float:
        if self.higher_is_better:
            return values.merged - values.base
        return values.base - values.merged


def count(share: float, rows: int) -> int:
    """How many of `rows` a share stands for."""
    return round(share * rows)
