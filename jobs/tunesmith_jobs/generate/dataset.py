"""Rows on their way into a dataset: taken in order, each accepted or rejected with a reason."""

import json
from collections import Counter
from dataclasses import dataclass, field

from tunesmith_jobs.generate.dataset_plan import DatasetPlan
from tunesmith_jobs.generate.dedupe import Duplicates
from tunesmith_jobs.generate.row_faults import Fault
from tunesmith_jobs.rows import Row


@dataclass(frozen=True)
class Rejected:
    """A row, or a whole answer, that was not accepted. `reason` is one of a few words, for counting."""

    id: str
    reason: str
    detail: str = ""
    prompt: str = ""
    response: str = ""

    def to_json(self) -> dict[str, str]:
        """The members that are not empty."""
        members = {
            "id": self.id,
            "reason": self.reason,
            "detail": self.detail,
            "prompt": self.prompt,
            "response": self.response,
        }
        return {name: text for name, text in members.items() if text}


@dataclass
class Dataset:
    """The accepted rows in their order, and the rejected ones. `figures`: what asking a teacher took."""

    near_duplicates: float
    system_message: str = ""
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    offered: int = 0
    plan: DatasetPlan | None = None
    coverage: dict[str, Counter[str]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._duplicates = Duplicates(self.near_duplicates)

    def offer(self, row: Row, fault: Fault | None = None) -> bool:
        """Take a row, unless it is empty or repeats an earlier one; whether it was taken.

        `fault`: reason and detail, if it is known to be no example.
        """
        self.offered += 1
        if not row.prompt.strip():
            return self.reject(row, "empty", "the prompt is empty")
        if not row.response.strip():
            return self.reject(row, "empty", "the response is empty")
        if fault is not None:
            return self.reject(row, *fault)
        match = self._duplicates.take(distinctive(row))
        if match is not None:
            reason = "duplicate" if match.similarity == 1.0 else "nearDuplicate"
            return self.reject(row, reason, f"{match.similarity:.2f} like {self.rows[match.key].id}")
        self.rows.append(row)
        return True

    def reject(self, row: Row, reason: str, detail: str) -> bool:
        """Note a row that is not taken; always False."""
        self.rejected.append(Rejected(row.id, reason, detail, row.prompt, row.response))
        return False

    def reasons(self) -> dict[str, int]:
        """How many were rejected, by reason."""
        return dict(sorted(Counter(rejected.reason for rejected in self.rejected).items()))

    def rejected_lines(self) -> bytes:
        """rejected.jsonl."""
        return "".join(
            json.dumps(rejected.to_json(), ensure_ascii=False) + "\n" for rejected in self.rejected
        ).encode()


def distinctive(row: Row) -> str:
    """The text by which rows are compared: what the model is asked, with the conversation before it."""
    return "\n".join([*(turn.content for turn in row.history), row.prompt])


def counted(reasons: dict[str, int]) -> str:
    """Reasons with their counts, for messages."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "none"
