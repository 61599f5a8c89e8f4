"""Asks until an answer can be used, within reason; otherwise says what was wrong with it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tunesmith.errors import TryAgain
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.parse_answers import Unreadable
from tunesmith_jobs.teacher.calls import Answer, Call

SAMPLES = 3  # new tries an attempt makes for a plan or system message that cannot be used
UNREADABLE_MOST = (
    20  # unreadable answers in a row, paid for now, after which the teacher counts as out of order
)

Ask = Callable[[Call], Awaitable[Answer]]
T = TypeVar("T")


@dataclass(frozen=True)
class Unusable:
    """An answer without what was asked for. `fresh`: this attempt paid for it."""

    reason: str
    detail: str
    fresh: bool


async def read(ask: Ask, call: Call, parse: Callable[[str], T]) -> T | Unusable:
    """What an answer says.

    An answer that cannot be read is asked for once more, with what is wrong with it.
    """
    for last in (False, True):
        answer = await ask(call)
        unusable = _refused(answer, call)
        if unusable is not None:
            return unusable
        try:
            return parse(answer.content)
        except Unreadable as error:
            if last:
                return Unusable("unreadable", str(error), answer.fresh)
            call = prompts.asked_again(call, answer.content, str(error))
    raise AssertionError


async def sample_until_usable(
    ask: Ask, make: Callable[[int], Call], parse: Callable[[str], T], what: str
) -> T:
    """The first usable answer of the samples of a call.

    Raises TryAgain once this attempt has paid for SAMPLES useless ones; `what` names what was asked for.
    """
    sample = paid = 0
    while True:
        result = await read(ask, make(sample), parse)
        if not isinstance(result, Unusable):
            return result
        sample += 1
        paid += result.fresh
        if paid >= SAMPLES:
            raise TryAgain(
                f"the teacher wrote no usable {what} in {paid} tries: {result.detail}",
                reason="TeacherUnusable",
                remedy="run again, raise data.maxTokens or data.systemMessageMaxTokens, "
                "or name another data.teacher.model",
            )


class UnreadableRun:
    """Counts unreadable answers in a row."""

    def __init__(self) -> None:
        self._count = 0

    def count(self, result: object) -> None:
        """Note what an answer gave. Raises TryAgain once too many in a row cannot be read."""
        if not isinstance(result, Unusable) or result.reason != "unreadable":
            self._count = 0
            return
        self._count += result.fresh
        if self._count >= UNREADABLE_MOST:
            raise TryAgain(
                f"the last {self._count} answers of the teacher cannot be read: {result.detail}",
                reason="TeacherUnusable",
                remedy="look into the journal of the run; check the endpoint, "
                "or name another data.teacher.model",
            )


def _refused(answer: Answer, call: Call) -> Unusable | None:
    if answer.refusal:
        return Unusable("refused", answer.refusal[:200], answer.fresh)
    if answer.finish_reason == "content_filter":
        return Unusable("filtered", "the endpoint's content filter", answer.fresh)
    if answer.finish_reason == "length":
        return Unusable("cutOff", f"the answer did not fit into {call.max_tokens} tokens", answer.fresh)
    return None
