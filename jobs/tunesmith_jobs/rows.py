"""The rows of a dataset, as generate leaves them and later stages read them: JSON Lines in UTF-8."""

import json
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunesmith.errors import BadData, Problem

_SHOWN = 10  # bad lines named in one message


class Turn(BaseModel):
    """An earlier message of a conversation. `learnt`: an answer that carries loss, as the row's own does."""

    model_config = ConfigDict(frozen=True)

    role: Literal["user", "assistant"]
    content: str
    learnt: bool = False

    def to_json(self) -> dict[str, object]:
        """The turn as it is written: `learnt` only where it is true."""
        return self.model_dump(exclude_defaults=True)


class Verdict(BaseModel):
    """What a judge said of a row: a score, 5 for the best, and why."""

    model_config = ConfigDict(frozen=True)

    reason: str = ""
    score: Annotated[int, Field(ge=1, le=5)]


class Row(BaseModel):
    """One example.

    `history`: turns between system message and prompt; `system`: the row's own system message, in place of
    the dataset's; `verdict`: a judge's, if there was one; `passage`: of the documents that it rests on, by
    name, and `evidence`: the words of it.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    prompt: str
    response: str
    history: tuple[Turn, ...] = ()
    system: str | None = None
    verdict: Verdict | None = None
    passage: str | None = None
    evidence: str | None = None

    def to_json(self) -> dict[str, object]:
        """The row as it is written: without what it does not have."""
        row: dict[str, object] = {"id": self.id, "prompt": self.prompt, "response": self.response}
        if self.history:
            row["history"] = [turn.to_json() for turn in self.history]
        if self.system is not None:
            row["system"] = self.system
        if self.verdict is not None:
            row["verdict"] = self.verdict.model_dump()
        if self.passage is not None:
            row |= {"passage": self.passage, "evidence": self.evidence or ""}
        return row


def write_rows(rows: Iterable[Row]) -> bytes:
    """JSON Lines, without escapes for letters beyond ASCII; the same rows give the same bytes."""
    return "".join(json.dumps(row.to_json(), ensure_ascii=False) + "\n" for row in rows).encode()


def read_rows(data: bytes, name: str) -> list[Row]:
    """The rows of a file that `write_rows` wrote.

    Raises BadData that names the bad lines, and the file by `name`.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    # Not splitlines(): texts may hold U+2028 and its like, which JSON does not escape.
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(Row.model_validate_json(line))
        except ValidationError as error:
            why = error.errors(include_url=False)[0]["msg"]
            problems.append(Problem(f"{name}, line {number}", why))
    if problems:
        raise BadData(
            f"{name} has {len(problems)} line(s) that are not rows",
            reason="BadRows",
            problems=problems[:_SHOWN],
        )
    return rows
