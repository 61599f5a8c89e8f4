"""What the figures mean, in plain words. Pure.

"No improvement" is a normal result. A loss that falls while no answer becomes right is said, since the loss alone can mislead.
"""

from dataclasses import dataclass
from typing import Literal

from tunesmith_jobs.evaluate.bootstrap import all_right_lower_bound
from tunesmith_jobs.evaluate.scoring import Comparison

Level = Literal["better", "mixed", "same", "worse", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """One sentence, the figures in words, and what must be known to read them right."""

    level: Level
    lead: str
    detail: str = ""
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Lead and detail."""
        return f"{self.lead} {self.detail}".strip()


def judge(loss: Comparison | None, exact: Comparison | None, valid: Comparison | None) -> Verdict:
    """The verdict on the figures; None for what was not measured."""
    found = [figure for figure in (loss, exact, valid) if figure is not None]
    if not found:
        advice = "Set data.split.test above 0 to measure the gain."
        return Verdict("unknown", "Nothing was compared: the dataset has no test rows.", notes=(advice,))
    detail = _detail(loss, exact, valid)
    if all(figure.gain.low is None for figure in found):
        return Verdict("unknown", "One test row can't show whether the new model is better.", detail)
    better = [figure for figure in found if figure.gain.proven]
    worse = [figure for figure in found if figure.gain.disproven]
    notes = _notes(exact, valid)
    if not better and not worse:
        return Verdict("same", "No improvement shown: every gain's interval includes zero.", detail, notes)
    if not better:
        return Verdict("worse", "The new model is worse than the base model.", detail, notes)
    notes = (*_lonely_loss(better, loss, exact, valid), *notes)
    if worse or _only_loss(better, loss, exact, valid):
        return Verdict("mixed", "A mixed result: some figures are better, others are not.", detail, notes)
    return Verdict("better", "The new model is better.", detail, notes)


def _only_loss(
    better: list[Comparison], loss: Comparison | None, exact: Comparison | None, valid: Comparison | None
) -> bool:
    """Whether the loss fell while nothing that a user would see got better, though the request says what a good answer looks like."""
    return better == [loss] and exact is not None and exact.merged == 0 and valid is not None


def _lonely_loss(
    better: list[Comparison], loss: Comparison | None, exact: Comparison | None, valid: Comparison | None
) -> tuple[str, ...]:
    if loss not in better or exact is None or exact.merged > 0:
        return ()
    if valid is None:
        return (
            "No answer equals the expected one word for word. That is usual where many answers are right: judge the answers below.",
        )
    return (
        "The loss fell, but no answer is exactly right: falling loss alone can mislead. Read the answers below.",
    )


def _detail(loss: Comparison | None, exact: Comparison | None, valid: Comparison | None) -> str:
    parts = []
    if exact is not None and (exact.merged or exact.base):
        parts.append(
            f"{_of(exact.merged, exact.gain.n)} test answers are exactly right (base model: {_count(exact.base, exact.gain.n)})."
        )
    elif exact is not None:
        parts.append(f"None of the {exact.gain.n} test answers is exactly right, with either model.")
    if valid is not None:
        parts.append(
            f"{_of(valid.merged, valid.gain.n)} have the wanted form (base model: {_count(valid.base, valid.gain.n)})."
        )
    return " ".join([*parts, _loss(loss)]).strip()


def _loss(loss: Comparison | None) -> str:
    if loss is None:
        return ""
    word = "fell" if loss.gain.value > 0 else "rose" if loss.gain.value < 0 else "stayed"
    return f"The loss on the test rows {word} from {loss.base:.3f} to {loss.merged:.3f} nats per token."


def _notes(exact: Comparison | None, valid: Comparison | None) -> tuple[str, ...]:
    for figure in (exact, valid):
        if (
            figure is not None
            and figure.merged == 1
            and figure.gain.low is not None
            and figure.gain.low == figure.gain.high
        ):
            n = figure.gain.n
            return (
                f"Every one of the {n} rows went the same way, so the bootstrap shows no spread. What {n} of {n} can show:"
                f" a share of at least {100 * all_right_lower_bound(n):.0f} %, with 95 % confidence.",
            )
    return ()


def _of(share: float, n: int) -> str:
    return f"{_count(share, n)} of {n}"


def _count(share: float, n: int) -> int:
    return round(share * n)
