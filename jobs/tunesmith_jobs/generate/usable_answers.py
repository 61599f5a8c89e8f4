"""Asks until an answer can be used, within reason; otherwise says what was wrong with it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tunesmith.errors import TryAgain
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.parse_answers import Unreadable
from tunesmith_jobs.teacher.calls import Answer, Call

SAMPLES = 3  # new tries an attempt makes for a plan or system message that cannot be used
USELESS_MOST = 20  # answers in a row without a row, after which the teacher counts as out of order

Ask = Callable[[Call], Awaitable[Answer]]
T = TypeVar("T")


@dataclass(frozen=True)
class Unusable:
    """An answer without what was asked for. `fresh`: this attempt paid for it."""

    reason: str
    detail: str
    fresh: bool


@dataclass(frozen=True)
class Usable(Generic[T]):
    """What an answer says. `fresh`: this attempt paid for it."""

    value: T
    fresh: bool


async def read(ask: Ask, call: Call, parse: Callable[[str], T]) -> Usable[T] | Unusable:
    """What an answer says.

    An answer that cannot be read is asked for once more, with what is wrong with it.
    """
    for last in (False, True):
        answer = await ask(call)
        unusable = _refused(answer, call)
        if unusable is not None:
            return unusable
        try:
            return Usable(parse(answer.content), answer.fresh)
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
            return result.value
        sample += 1
        paid += result.fresh
        if paid >= SAMPLES:
            raise TryAgain(
                f"the teacher wrote no usable {what} in {paid} tries: {result.detail}",
                reason="TeacherUnusable",
                remedy="run again, raise data.maxTokens or data.systemMessageMaxTokens, "
                "or name another data.teacher.model",
            )


class UselessRun:
    """Counts useless answers in a row, those of earlier attempts among them."""

    def __init__(self) -> None:
        self._count = 0

    def count(self, result: object) -> None:
        """Note what a call gave.

        Raises TryAgain once too many in a row gave nothing, and this attempt has paid for the last of them:
        so each further attempt finds out with one call whether the teacher has come to its senses.
        """
        if not isinstance(result, Unusable):
            self._count = 0
            return
        self._count += 1
        if self._count >= USELESS_MOST and result.fresh:
            raise TryAgain(
                f"the last {self._count} answers of the teacher are of no use: {result.detail}",
                reason="TeacherUnusable",
                remedy=_REMEDIES.get(result.reason, _REMEDIES["unreadable"]),
            )


_REMEDIES = {
    "nothingToAsk": "look at data.documents: leave out files that hold nothing users would ask about",
    "ungrounded": "look at what is called evidence above; name a data.teacher.model that copies exactly",
    "unreadable": "look into the journal of the run; check the endpoint, or name another data.teacher.model",
    "cutOff": "raise data.maxTokens; for a model that thinks long, lower data.teacher.reasoningEffort",
    "filtered": "reword the task, or name a data.teacher.model whose endpoint does not withhold such answers",
    "refused": "look at what the endpoint says above; reword the task, or name another data.teacher.model",
}


def _refused(answer: Answer, call: Call) -> Unusable | None:
    if answer.finish_reason == "content_filter":
        return Unusable("filtered", answer.refusal[:200] or "the endpoint's content filter", answer.fresh)
    if answer.refusal:
        return Unusable("refused", answer.refusal[:200], answer.fresh)
    if answer.finish_reason == "length":
        limit = f"the answer did not fit into {call.max_tokens} tokens"
        thoughts = f", beside {answer.thought_tokens} of thoughts" if answer.thought_tokens else ""
        return Unusable("cutOff", limit + thoughts, answer.fresh)
    return None
