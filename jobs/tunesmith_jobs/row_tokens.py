"""How many tokens the rows of a dataset have: by a base model's own tokenizer, or estimated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunesmith.errors import BadRequest
from tunesmith_jobs.base import read_tokenizer
from tunesmith_jobs.chat import Message, question, takes_system_role, template_renderer
from tunesmith_jobs.given_secrets import hub_token
from tunesmith_jobs.rows import Row
from tunesmith_jobs.teacher.calls import estimated_tokens

TURN = 8  # tokens around a message, as templates put them there
STEP = 64  # what a length is rounded up to
Count = Callable[[Row], int]


@dataclass(frozen=True)
class RowTokens:
    """Tokens of rows, without the dataset's system message. `by`: who counted them, in words."""

    by: str
    counts: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """A `training.maxLength` that cuts no row; 0 without rows."""
        return -(-max(self.counts) // STEP) * STEP if self.counts else 0

    def figures(self) -> dict[str, int]:
        """Tokens in all, and of a row: median, 95th percentile and most."""
        ordered = sorted(self.counts)
        if not ordered:
            return {}
        return {
            "total": sum(ordered),
            "p50": ordered[(len(ordered) - 1) // 2],
            "p95": ordered[-(-len(ordered) * 95 // 100) - 1],
            "max": ordered[-1],
        }


def count_tokens(rows: Sequence[Row], base: str) -> RowTokens:
    """Tokens of all rows. `base`: a model's address, or empty for an estimate.

    Raises BadRequest if the model cannot be read, or has no tokenizer that can be used here.
    """
    if not base:
        return RowTokens("estimated, a token per three bytes", tuple(map(_estimate, rows)))
    count = _counter(base)
    return RowTokens(f"counted by the tokenizer of {base}", tuple(map(count, rows)))


def _estimate(row: Row) -> int:
    texts = [row.prompt, row.response, *(turn.content for turn in row.history), row.system or ""]
    return sum(estimated_tokens(text) + TURN for text in texts if text)


def _counter(base: str) -> Count:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise BadRequest(
            "tokens cannot be counted: the package tokenizers is not installed here",
            reason="PackageMissing",
            remedy="install tunesmith[train], or leave --base out for an estimate",
        ) from error
    files = read_tokenizer(base, token=hub_token())
    if not files.tokenizer:
        raise BadRequest(
            f"{base} has no tokenizer.json by which tokens could be counted",
            reason="ModelUnreadable",
            remedy="name a model in safetensors, or leave --base out for an estimate",
        )
    tokenizer = Tokenizer.from_str(files.tokenizer.decode())
    if not files.chat_template:
        return lambda row: len(tokenizer.encode(f"{row.prompt}\n{row.response}").ids)
    render = template_renderer(files.chat_template, files.special_tokens)
    system_role = takes_system_role(render)

    def count(row: Row) -> int:
        answer: Message = {"role": "assistant", "content": row.response}
        messages = [*question("", row.to_json(), system_role=system_role), answer]
        return len(tokenizer.encode(render(messages), add_special_tokens=False).ids)

    return count
