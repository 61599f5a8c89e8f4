"""What both models are asked: the test rows, and the request's own prompts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith_jobs.chat import Message, conversation, question
from tunesmith_jobs.evaluate.partial_results import KINDS, Kind
from tunesmith_jobs.rows import Row


@dataclass(frozen=True)
class Questions:
    """What both models are asked.

    `answered`: how many of the test rows are answered; the loss is over all of them.
    """

    system: str
    rows: Sequence[Row]
    answered: int
    prompts: Sequence[str]

    def count(self, kind: Kind) -> int:
        """How many results of a kind each model has."""
        return {"loss": len(self.rows), "test": self.answered, "prompt": len(self.prompts)}[kind]

    @property
    def total(self) -> int:
        """How many results each model has."""
        return sum(self.count(kind) for kind in KINDS)

    def messages(self, kind: Kind, row: int, *, system_role: bool) -> list[Message]:
        """The messages that a model is asked to answer."""
        asked = {"prompt": self.prompts[row]} if kind == "prompt" else self.rows[row].to_json()
        return question(self.system, asked, system_role=system_role)

    def conversation(self, row: int, *, system_role: bool) -> tuple[list[Message], list[Message]]:
        """The messages of a test row, and the expected answer to them."""
        return conversation(self.system, self.rows[row].to_json(), system_role=system_role)
