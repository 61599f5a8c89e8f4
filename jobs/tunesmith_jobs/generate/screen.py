"""Looks at every pair that a teacher wrote before it is offered to the dataset.

What is free comes first: the text itself, its language, the form that the request asks for. Then what is paid
for: a judge (judge.py), and answers of the teacher that were written apart (agreement.py).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tunesmith.request import Spec
from tunesmith_jobs.answer_format.bounded import AnswerCheck
from tunesmith_jobs.documents.passages import Passage
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.agreement import agreed
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.grounding import grounding_fault
from tunesmith_jobs.generate.judge import judge_calls
from tunesmith_jobs.generate.language import language_named, other_language, partly_other
from tunesmith_jobs.generate.parse_answers import Pair, parse_grounded, parse_pairs, parse_verdict
from tunesmith_jobs.generate.row_faults import Fault, copied, row_fault, speaks_of_languages
from tunesmith_jobs.generate.usable_answers import Ask, Unusable, read
from tunesmith_jobs.rows import Verdict
from tunesmith_jobs.teacher.calls import Call


@dataclass(frozen=True)
class Screened:
    """A pair, and what was found: a fault for which it is no example, a verdict if there is a judge."""

    pair: Pair
    fault: Fault | None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Written:
    """The pairs of one call. `fresh`: this attempt paid for it."""

    pairs: list[Screened]
    fresh: bool


class Screen:
    """What is asked of the pairs of a dataset whose plan and system message are there.

    `form`: the running check of `evaluation.format`, if the request has one.
    """

    def __init__(self, ask: Ask, spec: Spec, dataset: Dataset, form: AnswerCheck | None) -> None:
        self._ask = ask
        self._spec = spec
        self._system_message = dataset.system_message
        plan = dataset.plan
        self._rubric = plan.responses if plan else ""
        self._about = "\n".join([spec.task, *((plan.prompts, plan.responses) if plan else ())])
        self._language = language_named(plan.language) if plan else ""
        self._response_language = self._language
        if plan and plan.response_language is not None:
            self._response_language = language_named(plan.response_language)
        elif speaks_of_languages(self._about):
            self._response_language = ""
        self._form = form
        self._checking = asyncio.Lock()  # the form is checked by one process

    async def pairs(
        self,
        call: Call,
        most: int,
        rewriting: Callable[[Pair], Call] | None = None,
        passage: Passage | None = None,
    ) -> Written | Unusable:
        """What a call for pairs gave, each looked at.

        `rewriting`: the call for another pair in place of one. `passage`: what the pairs must rest on.
        """
        parse = parse_grounded if passage else parse_pairs
        answer = await read(self._ask, call, lambda text: parse(text, most))
        if isinstance(answer, Unusable):
            return answer
        pairs = answer.value
        if not pairs:
            where = f" in {passage.name}" if passage else ""
            return Unusable("nothingToAsk", f"the teacher finds nothing to ask about{where}", answer.fresh)
        if rewriting is not None:
            pairs = list(await asyncio.gather(*(self._rewritten(pair, rewriting(pair)) for pair in pairs)))
        looks = [self._look(pair, call.cell, passage) for pair in pairs]
        return Written(list(await asyncio.gather(*looks)), answer.fresh)

    async def _rewritten(self, pair: Pair, call: Call) -> Pair:
        """The new pair; the old one if there is none."""
        answer = await read(self._ask, call, lambda text: parse_pairs(text, 1))
        return pair if isinstance(answer, Unusable) else answer.value[0]

    async def _look(self, pair: Pair, cell: int, passage: Passage | None) -> Screened:
        fault = self._fault(pair) or self._ungrounded(pair, passage) or await self._form_fault(pair)
        if fault is not None:
            return Screened(pair, fault)
        verdict: Verdict | None = None
        if self._spec.data.judge is not None:
            verdict, fault = await self._judged(pair, cell, passage)
        if fault is None and self._spec.data.agreement:
            fault = await self._disagreement(pair, cell, passage)
        return Screened(pair, fault, verdict)

    def _fault(self, pair: Pair) -> Fault | None:
        if copied(pair.prompt, self._spec.data.seeds):
            return "copied", "the prompt is one of data.seeds"
        if fault := row_fault(pair.prompt, pair.response, self._about):
            return fault
        texts = (
            ("prompt", pair.prompt, self._language),
            ("response", pair.response, self._response_language),
        )
        for name, text, wanted in texts:
            if wanted and (other := other_language(text, wanted)):
                return "language", f"the {name} is in {other}, and not in {wanted}"
        if (wanted := self._response_language) and (
            other := partly_other(pair.response, wanted, pair.prompt)
        ):
            return "language", f"the response is partly in {other}, and not in {wanted}"
        return None

    def _ungrounded(self, pair: Pair, passage: Passage | None) -> Fault | None:
        if passage is None:
            return None
        return grounding_fault(pair.prompt, pair.response, pair.evidence, passage, self._about)

    async def _form_fault(self, pair: Pair) -> Fault | None:
        if self._form is None:
            return None
        async with self._checking:
            error = await asyncio.to_thread(self._form, pair.response)
        return ("format", f"evaluation.format: {error}") if error else None

    async def _judged(
        self, pair: Pair, cell: int, passage: Passage | None
    ) -> tuple[Verdict | None, Fault | None]:
        """The last verdict, and the fault if two verdicts of at most three are below the threshold."""
        assert self._spec.data.judge is not None
        verdicts: list[Verdict] = []
        for call in judge_calls(self._spec, self._rubric, pair, cell, passage):
            answer = await read(self._ask, call, parse_verdict)
            if isinstance(answer, Unusable):
                return None, ("notJudged", f"the judge gave no verdict: {answer.detail}")
            verdicts.append(answer.value)
            low = sum(verdict.score < self._spec.data.judge.threshold for verdict in verdicts)
            if low == 0 or low < len(verdicts) - 1:
                return answer.value, None
            if low == 2:
                break
        scores = ", then ".join(str(verdict.score) for verdict in verdicts)
        return verdicts[-1], ("judged", f"score {scores} of 5: {verdicts[-1].reason}")

    async def _disagreement(self, pair: Pair, cell: int, passage: Passage | None) -> Fault | None:
        calls = [
            prompts.answer_call(self._spec, self._system_message, pair.prompt, cell, sample, passage)
            for sample in range(1, self._spec.data.agreement + 1)
        ]
        answers = await asyncio.gather(*(read(self._ask, call, str.strip) for call in calls))
        texts = [f"\0{answer.reason}" if isinstance(answer, Unusable) else answer.value for answer in answers]
        if agreed(pair.response, texts):
            return None
        return "disagreement", f"{len(texts)} further answers of the teacher come to something else"
