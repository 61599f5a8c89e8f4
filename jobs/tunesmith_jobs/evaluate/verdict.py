"""What the figures mean, in plain words. Pure.

"No improvement" is a normal result. The verdict points out when the loss falls while no answer becomes right,
since the loss alone can mislead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tunesmith_jobs.evaluate.bootstrap import all_right_lower_bound
from tunesmith_jobs.evaluate.metrics import METRICS
from tunesmith_jobs.evaluate.metrics.metric import Comparison

Level = Literal["better", "mixed", "same", "worse", "unknown"]

_LOSS, _EXACT, _FORMAT = "loss", "exactMatch", "formatValid"  # the metrics that are judged together


@dataclass(frozen=True)
class Verdict:
    """One sentence, the figures in words, and what one must know to read them correctly."""

    level: Level
    lead: str
    detail: str = ""
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Lead and detail."""
        return f"{self.lead} {self.detail}".strip()


def verdict_on(comparisons: Mapping[str, Comparison | None]) -> Verdict:
    """The verdict on the comparisons by metric; None for what was not measured."""
    measured = {name: compared for name, compared in comparisons.items() if compared is not None}
    if not measured:
        advice = "Set data.split.test above 0 to measure the gain."
        return Verdict("unknown", "Nothing was compared: the dataset has no test rows.", notes=(advice,))
    detail = _detail(measured)
    if all(compared.gain.low is None for compared in measured.values()):
        return Verdict("unknown", "One test row can't show whether the new model is better.", detail)
    better = {name for name, compared in measured.items() if compared.gain.proven}
    worse = {name for name, compared in measured.items() if compared.gain.disproven}
    notes = _no_spread(measured)
    if not better and not worse:
        lead = "No improvement shown: the interval of every gain includes zero."
        return Verdict("same", lead, detail, notes)
    if not better:
        return Verdict("worse", "The new model is worse than the base model.", detail, notes)
    notes = (*_loss_alone(better, measured), *notes)
    if worse or _only_loss_is_better(better, measured):
        lead = "A mixed result: some figures are better, others are not."
        return Verdict("mixed", lead, detail, notes)
    return Verdict("better", "The new model is better.", detail, notes)


def _detail(measured: Mapping[str, Comparison]) -> str:
    """A sentence for each figure: answers first, since they are what a user sees."""
    of_answers = [name for name in measured if METRICS[name].kind.unit == "share"]
    others = [name for name in measured if name not in of_answers]
    return " ".join(METRICS[name].sentence(measured[name]) for name in (*of_answers, *others))


def _nothing_is_exact(measured: Mapping[str, Comparison]) -> bool:
    return _EXACT in measured and measured[_EXACT].merged == 0


def _only_loss_is_better(better: set[str], measured: Mapping[str, Comparison]) -> bool:
    """Whether nothing that a user sees got better, though the request says what a good answer looks like."""
    return better == {_LOSS} and _nothing_is_exact(measured) and _FORMAT in measured


def _loss_alone(better: set[str], measured: Mapping[str, Comparison]) -> tuple[str, ...]:
    """What to think of a loss that fell while no answer is exactly right."""
    if _LOSS not in better or not _nothing_is_exact(measured):
        return ()
    if _FORMAT in measured:
        return (
            "The loss fell, but no answer is exactly right: falling loss alone can mislead. "
            "Read the answers below.",
        )
    return (
        "No answer equals the expected one word for word. That is usual where many answers are right: "
        "judge the answers below.",
    )


def _no_spread(measured: Mapping[str, Comparison]) -> tuple[str, ...]:
    """What a share of 100 % can show where the bootstrap has no spread; said once."""
    for name, compared in measured.items():
        gained = compared.gain
        all_agree = gained.low is not None and gained.low == gained.high
        if METRICS[name].kind.unit == "share" and compared.merged == 1 and all_agree:
            n = gained.n
            return (
                f"Every one of the {n} rows went the same way, so the bootstrap shows no spread. "
                f"What {n} of {n} can show: a share of at least {100 * all_right_lower_bound(n):.0f} %, "
                "with 95 % confidence.",
            )
    return ()
