"""Turns rows into token ids and labels, and counts them. Pure but for the tokenizer that is handed in.

One truth holds for every answer that is learnt: the tokens before it are those that the model is asked with
at that point.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tunesmith.errors import BadData, BadRequest, Problem
from tunesmith_jobs.chat import Message, lessons, row_tokens, takes_system_role
from tunesmith_jobs.rows import Row

IGNORED = -100  # label of a token that carries no loss
UNLIMITED = 10**9  # tokenizers without a limit of their own state 10**30
_SHOWN = 10  # rows in an error at most


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    chat_template: Any
    model_max_length: int

    def apply_chat_template(self, conversation: list[Message], **options: Any) -> Any: ...  # noqa: D102 transformers'
    def decode(self, token_ids: Sequence[int]) -> str: ...  # noqa: D102 transformers'
    def __call__(self, text: str, **options: Any) -> Any: ...  # noqa: D102 transformers'


@dataclass(frozen=True)
class Encoded:
    """A sequence as the trainer takes it. `row`: the row that it is of, or a part of.

    `labels`: the `ids` where the loss is taken, IGNORED elsewhere; `whole`: number of tokens before cutting.
    """

    row: str
    ids: list[int]
    labels: list[int]
    whole: int

    @property
    def truncated(self) -> bool:
        """Whether tokens were cut off."""
        return self.whole > len(self.ids)

    @property
    def trained(self) -> int:
        """Tokens that carry loss."""
        return sum(label != IGNORED for label in self.labels)


def has_system_role(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer's chat template shows a system message.

    Raises BadRequest if it has no template.
    """
    if not tokenizer.chat_template:
        raise BadRequest(
            "the base model has no chat template, so it is unknown how to ask it",
            reason="NoChatTemplate",
            remedy="choose the instruct or chat version of the model, "
            "or put a chat_template.jinja next to its weights",
        )
    return takes_system_role(
        lambda messages: str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )
    )


def encode(
    tokenizer: Tokenizer, system: str, row: Row, *, system_role: bool, max_length: int
) -> list[Encoded]:
    """A row as the chat template renders it: one sequence, with loss on every answer that is learnt and on
    the end of its turn. Where the template renders earlier turns differently later on, there are several.

    `max_length`: longer sequences lose their end; 0 for no limit.
    """
    taught = [
        row_tokens(tokenizer, asked, answer)
        for asked, answer in lessons(system, row.to_json(), system_role=system_role)
    ]
    return [
        Encoded(row.id, ids[: max_length or None], labels[: max_length or None], len(ids))
        for ids, labels in sequences(taught)
    ]


def sequences(taught: Sequence[tuple[list[int], int]]) -> list[tuple[list[int], list[int]]]:
    """The fewest sequences that teach every answer of a conversation, with their labels, in its order. Pure.

    `taught`: for each answer the tokens from the conversation's beginning to the end of its turn, and where
    the answer begins. Tokens that a later sequence begins with are learnt there; others are a sequence of
    their own.
    """
    made: list[tuple[list[int], list[int]]] = []
    for ids, start in reversed(taught):
        holder = next((labels for longer, labels in made if longer[: len(ids)] == ids), None)
        if holder is None:
            holder = [IGNORED] * len(ids)
            made.append((ids, holder))
        holder[start : len(ids)] = ids[start:]
    return made[::-1]


def longest(settings_length: int, tokenizer_limit: int, context: int | None) -> int:
    """Tokens of a row at most: as the request says, else the model's context; 0 if neither gives a number.

    Raises BadRequest above the context.
    """
    if settings_length and context and settings_length > context:
        raise BadRequest(
            "rows cannot be longer than the base model's context",
            reason="MaxLengthTooLong",
            problems=[
                Problem(
                    "spec.training.maxLength",
                    f"the model has {context} positions",
                    settings_length,
                    f"set at most {context}",
                )
            ],
        )
    if settings_length:
        return settings_length
    return min((limit for limit in (context, tokenizer_limit) if limit and limit < UNLIMITED), default=0)


def statistics(rows: Sequence[Encoded]) -> dict[str, int]:
    """Numbers of a split: rows, tokens in all, tokens of a sequence (p50, p95, max), and the rest by name.

    Tokens are counted before cutting. `sequences`: more than rows where a row is several; `trained`: tokens
    with loss; `truncated`: sequences that were cut; `masked`: those that are left without loss.
    """
    lengths = sorted(row.whole for row in rows)
    return {
        "rows": len({row.row for row in rows}),
        "sequences": len(rows),
        "total": sum(lengths),
        "p50": quantile(lengths, 0.5),
        "p95": quantile(lengths, 0.95),
        "max": lengths[-1] if lengths else 0,
        "trained": sum(row.trained for row in rows),
        "truncated": sum(row.truncated for row in rows),
        "masked": sum(row.trained == 0 for row in rows),
    }


def quantile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that is not below this share of the values; 0 without values."""
    if not ordered:
        return 0
    rank = -(-int(share * 1000) * len(ordered) // 1000)  # rounded up
    return ordered[max(0, rank - 1)]


def usable(rows: Sequence[Encoded], split: str, max_length: int) -> list[Encoded]:
    """The rows that carry loss. Raises BadData, with numbers, if there are none."""
    kept = [row for row in rows if row.trained]
    if kept:
        return kept
    if not rows:
        raise BadData(
            f"the {split} split has no rows",
            reason="NoRows",
            remedy="give more data, or a smaller test share",
        )
    problems = [
        Problem(f"row {row.row}", f"has {row.whole} tokens, its prompt alone fills {max_length}")
        for row in rows[:_SHOWN]
    ]
    raise BadData(
        f"none of the {len(rows)} rows of the {split} split has an answer within {max_length} tokens",
        reason="RowsTooLong",
        remedy="raise training.maxLength, choose a model with a longer context, or shorten the prompts",
        problems=problems,
    )


def preview(tokenizer: Tokenizer, row: Encoded) -> list[dict[str, str | bool]]:
    """A row as the model sees it, special tokens visible, in runs of tokens that do or do not carry loss."""
    runs: list[tuple[bool, list[int]]] = []
    for token, label in zip(row.ids, row.labels, strict=True):
        loss = label != IGNORED
        if not runs or runs[-1][0] != loss:
            runs.append((loss, []))
        runs[-1][1].append(token)
    return [{"text": tokenizer.decode(tokens), "loss": loss} for loss, tokens in runs]
