"""Rows on their way into a dataset: taken in order, each accepted or rejected with a reason."""

import json
from collections import Counter
from dataclasses import dataclass, field

from tunesmith_jobs.generate.dataset_plan import DatasetPlan
from tunesmith_jobs.generate.dedupe import normalised
from tunesmith_jobs.generate.duplicates import Dropped, Duplicates, Match
from tunesmith_jobs.generate.passage_use import PassageUse
from tunesmith_jobs.generate.row_faults import Fault
from tunesmith_jobs.rows import Row

_REPEATS = {
    "duplicate": "the prompt is that of",
    "nearDuplicate": "the prompt has {:.2f} of its words with that of",
    "semanticDuplicate": "the prompt means, {:.2f} alike, the same as that of",
}


@dataclass(frozen=True)
class Rejected:
    """A row, or a whole answer, that was not accepted. `reason` is one of a few words, for counting.

    `like` is the id of the row that a duplicate repeats, `similarity` how similar it is, 0 to 1.
    """

    id: str
    reason: str
    detail: str = ""
    prompt: str = ""
    response: str = ""
    like: str = ""
    similarity: float = 0.0

    def to_json(self) -> dict[str, str | float]:
        """The members that are not empty."""
        members: dict[str, str | float] = {
            "id": self.id,
            "reason": self.reason,
            "detail": self.detail,
            "like": self.like,
            "similarity": self.similarity,
            "prompt": self.prompt,
            "response": self.response,
        }
        return {name: value for name, value in members.items() if value}


@dataclass
class Dataset:
    """The accepted rows in their order, and the rejected ones.

    `topics`: what each row is about, by its id, where a plan says so. `figures`: what asking a teacher took.
    `passages`: how those of documents were used, where there are any.
    """

    near_duplicates: float
    semantic_duplicates: float = 1.0
    system_message: str = ""
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    offered: int = 0
    topics: dict[str, str] = field(default_factory=dict)
    plan: DatasetPlan | None = None
    coverage: dict[str, Counter[str]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    passages: PassageUse | None = None

    def __post_init__(self) -> None:
        self._duplicates = Duplicates(self.near_duplicates, self.semantic_duplicates)

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
        match = self._duplicates.take(distinctive(row), within=row.system or "")
        if match is not None:
            return self._drop(row, match)
        self.rows.append(row)
        return True

    def _drop(self, row: Row, match: Match) -> bool:
        """Note a row that repeats an accepted one; always False."""
        kept = self.rows[match.key]
        similarity = round(match.similarity, 4)
        answer = "the same" if normalised(kept.response) == normalised(row.response) else "another"
        detail = f"{_REPEATS[match.level].format(similarity)} {kept.id}, with {answer} response"
        self.dropped.append(
            Dropped(row.id, kept.id, match.level, similarity, row.prompt, answer == "another")
        )
        self.rejected.append(
            Rejected(row.id, match.level, detail, row.prompt, row.response, kept.id, similarity)
        )
        return False

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


def belongs_with(row: Row) -> frozenset[str]:
    """What a row has in common with the rows that must stay on its side of the split.

    Rows of one conversation have its first question and answer. (Rows with one prompt are near-copies.)
    """
    texts = [*(turn.content for turn in row.history), row.prompt, row.response]
    return frozenset(["\0".join(map(normalised, texts[:2]))])


def counted(reasons: dict[str, int]) -> str:
    """Reasons with their counts, for messages."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "none"
