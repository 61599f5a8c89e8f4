"""Rows -> token ids and labels, and what becomes of them in numbers. Pure but for the tokenizer that is handed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tunesmith.errors import BadData, BadRequest, Problem
from tunesmith_jobs.chat import Message, conversation, takes_system_role
from tunesmith_jobs.rows import Row

IGNORED = -100  # label of a token that carries no loss
UNLIMITED = 10**9  # tokenizers without a limit of their own say 10**30
_SHOWN = 10


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    chat_template: Any
    model_max_length: int

    def apply_chat_template(self, conversation: list[Message], **options: Any) -> Any: ...  # noqa: D102 transformers'
    def decode(self, token_ids: Sequence[int]) -> str: ...  # noqa: D102 transformers'


@dataclass(frozen=True)
class Encoded:
    """A row as the trainer takes it. `labels` are `ids` where the loss is taken and IGNORED elsewhere; `whole`: tokens before cutting."""

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
    """Whether the tokenizer's chat template shows a system message. Raises BadRequest if it has no template."""
    if not tokenizer.chat_template:
        raise BadRequest(
            "the base model has no chat template, so it is unknown how it is asked",
            reason="NoChatTemplate",
            remedy="choose the instruct or chat version of the model, or put a chat_template.jinja beside its weights",
        )
    return takes_system_role(
        lambda messages: str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )
    )


def encode(tokenizer: Tokenizer, system: str, row: Row, *, system_role: bool, max_length: int) -> Encoded:
    """A row through the chat template. The loss is on what follows the prompt: the answer and the end of the turn.

    The answer begins where prompt and whole conversation part, as in trl's own preparation. `max_length`: cut at the end; 0: never.
    """
    prompt, completion = conversation(system, row.to_json(), system_role=system_role)
    asked = _ids(tokenizer, prompt, add_generation_prompt=True)
    ids = _ids(tokenizer, prompt + completion)
    start = next(
        (index for index, (one, other) in enumerate(zip(asked, ids, strict=False)) if one != other),
        min(len(asked), len(ids)),
    )
    labels = [IGNORED] * start + ids[start:]
    keep = max_length or len(ids)
    return Encoded(row.id, ids[:keep], labels[:keep], len(ids))


def _ids(tokenizer: Tokenizer, messages: list[Message], **options: Any) -> list[int]:
    return list(
        tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]
    )


def longest(settings_length: int, tokenizer_limit: int, context: int | None) -> int:
    """Tokens of a row at most: what the request says, else the model's context. 0 if neither says. Raises BadRequest above the context."""
    limit = min((number for number in (context, tokenizer_limit) if number and number < UNLIMITED), default=0)
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
    return settings_length or limit


def statistics(rows: Sequence[Encoded]) -> dict[str, int]:
    """Of a split: rows, tokens in all and in a row (p50, p95, max; before cutting), tokens with loss, cut rows, rows left without loss."""
    lengths = sorted(row.whole for row in rows)
    return {
        "rows": len(rows),
        "total": sum(lengths),
        "p50": _quantile(lengths, 0.5),
        "p95": _quantile(lengths, 0.95),
        "max": lengths[-1] if lengths else 0,
        "trained": sum(row.trained for row in rows),
        "truncated": sum(row.truncated for row in rows),
        "masked": sum(row.trained == 0 for row in rows),
    }


def _quantile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least this share does not pass."""
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)] if ordered else 0


def usable(rows: Sequence[Encoded], split: str, max_length: int) -> list[Encoded]:
    """The rows that carry loss. Raises BadData, in numbers, if there is none."""
    kept = [row for row in rows if row.trained]
    if kept:
        return kept
    if not rows:
        raise BadData(
            f"the {split} split has no rows",
            reason="NoRows",
            remedy="give more data, or a smaller test share",
        )
    found = [
        Problem(f"row {row.row}", f"has {row.whole} tokens, its prompt alone fills {max_length}")
        for row in rows[:_SHOWN]
    ]
    raise BadData(
        f"none of the {len(rows)} rows of the {split} split has an answer within {max_length} tokens",
        reason="RowsTooLong",
        remedy="raise training.maxLength, choose a model with a longer context, or shorten the prompts",
        problems=found,
    )


def preview(tokenizer: Tokenizer, row: Encoded) -> list[dict[str, str | bool]]:
    """A row as the model sees it, special tokens visible, in runs: `text`, and whether its tokens carry `loss`."""
    runs: list[tuple[bool, list[int]]] = []
    for token, label in zip(row.ids, row.labels, strict=True):
        loss = label != IGNORED
        if not runs or runs[-1][0] != loss:
            runs.append((loss, []))
        runs[-1][1].append(token)
    return [{"text": tokenizer.decode(tokens), "loss": loss} for loss, tokens in runs]
