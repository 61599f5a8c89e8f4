"""Rows written by a teacher: system message and plan, then cells or a chain, until exactly as many are accepted as were asked for."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tunesmith.errors import BadData, TryAgain
from tunesmith.request import Spec
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.calls import Answer, Call
from tunesmith_jobs.generate.cells import Cell, cell_at, seed_of
from tunesmith_jobs.generate.dataset import Dataset, Rejected, counted
from tunesmith_jobs.generate.parse import (
    Pair,
    Plan,
    Unreadable,
    parse_pairs,
    parse_plan,
    parse_system_message,
)
from tunesmith_jobs.rows import Row

SAMPLES = 3  # new tries an attempt makes for a plan or system message that cannot be used
GARBAGE = 20  # unreadable answers in a row, paid for now, after which the teacher counts as out of order
SPARE_CELLS = 20  # beside as many as were asked for
AHEAD = 4  # cells under way at most, as a multiple of the requests that may be

Ask = Callable[[Call], Awaitable[Answer]]
Accepted = Callable[[int], None]  # is told how many rows are accepted
T = TypeVar("T")


@dataclass(frozen=True)
class Unusable:
    """An answer without pairs. `fresh`: paid for by this attempt."""

    reason: str
    detail: str
    fresh: bool


async def fill(ask: Ask, spec: Spec, dataset: Dataset, accepted: Accepted) -> None:
    """Fill the dataset as the request's strategy says: system message, plan, rows."""
    if spec.data.strategy == "chain":
        dataset.system_message = await make_system_message(ask, spec)
        await rows_by_chain(ask, spec, dataset, accepted)
        return
    plan = asyncio.create_task(make_plan(ask, spec))
    try:
        dataset.system_message = await make_system_message(ask, spec)
        dataset.plan = await plan
    finally:
        plan.cancel()
        await asyncio.gather(plan, return_exceptions=True)
    await rows_by_plan(ask, spec, dataset, dataset.plan, accepted)


async def ask_once(ask: Ask, make: Callable[[int], Call], parse: Callable[[str], T], what: str) -> T:
    """The first usable answer of the samples of a call. Raises TryAgain once this attempt has paid for SAMPLES useless ones."""
    sample = paid = 0
    while True:
        found = await _readable(ask, make(sample), parse)
        if not isinstance(found, Unusable):
            return found
        sample += 1
        paid += found.fresh
        if paid >= SAMPLES:
            raise TryAgain(
                f"the teacher wrote no usable {what} in {paid} tries: {found.detail}",
                reason="TeacherUnusable",
                remedy="run again, raise data.maxTokens or data.systemMessageMaxTokens, or name another data.teacher.model",
            )


async def rows_by_plan(ask: Ask, spec: Spec, dataset: Dataset, plan: Plan, accepted: Accepted) -> None:
    """Fill the dataset from cells, which are asked for side by side and accepted in their order."""
    data = spec.data
    cells_wanted = -(-data.examples // data.pairs_per_call)
    most = 2 * cells_wanted + SPARE_CELLS
    width = AHEAD * data.teacher.max_concurrency
    pending: dict[int, asyncio.Task[list[Pair] | Unusable]] = {}
    started = garbage = 0
    frontier = 0
    try:
        while len(dataset.rows) < data.examples:
            # Only as many as are still missing if all under way turn out well: nothing is paid for that is not needed.
            while (
                len(pending) < width
                and started < most
                and len(dataset.rows) + data.pairs_per_call * len(pending) < data.examples
            ):
                call = prompts.cell_call(spec.task, data, plan, cell_at(plan, data.seed, started))
                pending[started] = asyncio.create_task(_pairs(ask, call, data.pairs_per_call))
                started += 1
            if not pending:
                raise _too_few(dataset, data.examples, f"{started} calls")
            found = await pending.pop(frontier)
            garbage = _garbage_in_a_row(found, garbage)
            _accept_cell(dataset, cell_at(plan, data.seed, frontier), found, data.examples)
            frontier += 1
            accepted(len(dataset.rows))
    finally:
        for task in pending.values():
            task.cancel()
        await asyncio.gather(*pending.values(), return_exceptions=True)


async def rows_by_chain(ask: Ask, spec: Spec, dataset: Dataset, accepted: Accepted) -> None:
    """Fill the dataset one pair after another, each shown to the teacher with earlier ones, drawn at random."""
    data = spec.data
    most = 2 * data.examples + SPARE_CELLS
    garbage = 0
    for turn in range(most):
        if len(dataset.rows) >= data.examples:
            return
        draw = random.Random(seed_of(data.seed, "chain", turn))
        shown = draw.sample(dataset.rows, min(data.feedback, len(dataset.rows)))
        found = await _pairs(ask, prompts.chain_call(spec.task, data, turn, shown), 1)
        garbage = _garbage_in_a_row(found, garbage)
        if isinstance(found, Unusable):
            dataset.rejected.append(Rejected(f"t{turn:06d}", found.reason, found.detail))
        else:
            dataset.offer(Row(id=f"t{turn:06d}", prompt=found[0].prompt, response=found[0].response))
        accepted(len(dataset.rows))
    if len(dataset.rows) < data.examples:
        raise _too_few(dataset, data.examples, f"{most} turns")


async def make_plan(ask: Ask, spec: Spec) -> Plan:
    """The plan of a task."""
    return await ask_once(
        ask, lambda sample: prompts.plan_call(spec.task, spec.data, sample), parse_plan, "plan"
    )


async def make_system_message(ask: Ask, spec: Spec) -> str:
    """The system message: the request's, else the teacher's."""
    if spec.data.system_message is not None:
        return spec.data.system_message
    return await ask_once(
        ask,
        lambda sample: prompts.system_message_call(spec.task, spec.data, sample),
        parse_system_message,
        "system message",
    )


def _accept_cell(dataset: Dataset, cell: Cell, found: list[Pair] | Unusable, wanted: int) -> None:
    if isinstance(found, Unusable):
        dataset.rejected.append(Rejected(f"c{cell.index:06d}", found.reason, found.detail))
        return
    for number, pair in enumerate(found):
        if len(dataset.rows) >= wanted:
            return  # the last call gave more than was missing
        if dataset.offer(Row(id=f"c{cell.index:06d}-{number}", prompt=pair.prompt, response=pair.response)):
            for axis, value in (("topic", cell.topic), *cell.values, ("difficulty", cell.difficulty)):
                dataset.coverage.setdefault(axis, Counter())[value] += 1


def _garbage_in_a_row(found: list[Pair] | Unusable, before: int) -> int:
    if not isinstance(found, Unusable) or found.reason != "unreadable":
        return 0
    count = before + found.fresh
    if count >= GARBAGE:
        raise TryAgain(
            f"the last {count} answers of the teacher cannot be read: {found.detail}",
            reason="TeacherUnusable",
            remedy="look into the journal of the run; check the endpoint, or name another data.teacher.model",
        )
    return count


def _too_few(dataset: Dataset, wanted: int, asked: str) -> BadData:
    return BadData(
        f"{len(dataset.rows)} of {wanted} rows after {asked}; rejected: {counted(dataset.reasons())}",
        reason="TooFewRows",
        remedy="rejected.jsonl's reasons tell what to change: a wider task, a higher temperature, data.nearDuplicates, another teacher",
    )


async def _pairs(ask: Ask, call: Call, most: int) -> list[Pair] | Unusable:
    return await _readable(ask, call, lambda text: parse_pairs(text, most))


async def _readable(ask: Ask, call: Call, parse: Callable[[str], T]) -> T | Unusable:
    """What an answer says; one that cannot be read is asked for once more, with what is wrong about it."""
    for last in (False, True):
        answer = await ask(call)
        if (unusable := _refused(answer, call)) is not None:
            return unusable
        try:
            return parse(answer.content)
        except Unreadable as error:
            if last:
                return Unusable("unreadable", str(error), answer.fresh)
            call = prompts.asked_again(call, answer.content, str(error))
    raise AssertionError


def _refused(answer: Answer, call: Call) -> Unusable | None:
    if answer.refusal:
        return Unusable("refused", answer.refusal[:200], answer.fresh)
    if answer.finish_reason == "content_filter":
        return Unusable("filtered", "the endpoint's content filter", answer.fresh)
    if answer.finish_reason == "length":
        return Unusable("cutOff", f"the answer did not fit into {call.max_tokens} tokens", answer.fresh)
    return None
