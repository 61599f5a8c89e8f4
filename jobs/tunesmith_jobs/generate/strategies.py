"""The two ways to have rows written: from a plan, in parallel, or in a chain, one after another.

Both end when exactly as many rows are accepted as were asked for.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from tunesmith.errors import BadData
from tunesmith.request import Spec
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.dataset import Dataset, Rejected, counted
from tunesmith_jobs.generate.dataset_plan import Cell, DatasetPlan, cell_at, seed_of
from tunesmith_jobs.generate.parse_answers import Pair, parse_pairs, parse_plan, parse_system_message
from tunesmith_jobs.generate.row_faults import copied, row_fault
from tunesmith_jobs.generate.usable_answers import Ask, Unusable, UselessRun, read, sample_until_usable
from tunesmith_jobs.rows import Row
from tunesmith_jobs.teacher.calls import Call

SPARE_CELLS = 20  # in addition to twice as many as were asked for
AHEAD = 4  # cells under way at most, as a multiple of the requests that may be

Accepted = Callable[[int], None]  # is called with the number of accepted rows


async def fill(ask: Ask, spec: Spec, dataset: Dataset, accepted: Accepted) -> None:
    """Fill the dataset as the request's strategy says: system message, plan, rows."""
    if spec.data.strategy == "chain":
        dataset.system_message = await make_system_message(ask, spec)
        await rows_by_chain(ask, spec, dataset, accepted)
        return
    planning = asyncio.create_task(make_plan(ask, spec))
    try:
        dataset.system_message = await make_system_message(ask, spec)
        dataset.plan = await planning
    finally:
        planning.cancel()
        await asyncio.gather(planning, return_exceptions=True)
    await rows_by_plan(ask, spec, dataset, dataset.plan, accepted)


async def make_plan(ask: Ask, spec: Spec) -> DatasetPlan:
    """The plan of a task."""

    def call(sample: int) -> Call:
        return prompts.plan_call(spec.task, spec.data, sample)

    return await sample_until_usable(ask, call, parse_plan, "plan")


async def make_system_message(ask: Ask, spec: Spec) -> str:
    """The system message: the request's, else the teacher's."""

    def call(sample: int) -> Call:
        return prompts.system_message_call(spec.task, spec.data, sample)

    if spec.data.system_message is not None:
        return spec.data.system_message
    return await sample_until_usable(ask, call, parse_system_message, "system message")


async def rows_by_plan(
    ask: Ask, spec: Spec, dataset: Dataset, dataset_plan: DatasetPlan, accepted: Accepted
) -> None:
    """Fill the dataset from cells, which are asked for in parallel and accepted in their order."""
    data = spec.data
    most = 2 * -(-data.examples // data.pairs_per_call) + SPARE_CELLS
    width = AHEAD * data.teacher.max_concurrency
    pending: dict[int, asyncio.Task[list[Pair] | Unusable]] = {}
    useless = UselessRun()
    started = next_cell = 0

    def may_start() -> bool:
        # Only as many as are still missing if all under way turn out well: nothing is paid for that is not
        # needed.
        enough = len(dataset.rows) + data.pairs_per_call * len(pending) >= data.examples
        return len(pending) < width and started < most and not enough

    try:
        while len(dataset.rows) < data.examples:
            while may_start():
                call = prompts.cell_call(
                    spec.task, data, dataset_plan, cell_at(dataset_plan, data.seed, started)
                )
                pending[started] = asyncio.create_task(_pairs(ask, call, data.pairs_per_call))
                started += 1
            if not pending:
                raise _too_few(dataset, data.examples, f"{started} calls")
            result = await pending.pop(next_cell)
            useless.count(result)
            _accept_cell(spec, dataset, cell_at(dataset_plan, data.seed, next_cell), result)
            next_cell += 1
            accepted(len(dataset.rows))
    finally:
        for task in pending.values():
            task.cancel()
        await asyncio.gather(*pending.values(), return_exceptions=True)


async def rows_by_chain(ask: Ask, spec: Spec, dataset: Dataset, accepted: Accepted) -> None:
    """Fill the dataset one pair after another; the teacher is shown earlier pairs, drawn at random."""
    data = spec.data
    most = 2 * data.examples + SPARE_CELLS
    useless = UselessRun()
    for turn in range(most):
        if len(dataset.rows) >= data.examples:
            return
        draw = random.Random(seed_of(data.seed, "chain", turn))
        shown = draw.sample(dataset.rows, min(data.feedback, len(dataset.rows)))
        result = await _pairs(ask, prompts.chain_call(spec.task, data, turn, shown), 1)
        useless.count(result)
        if isinstance(result, Unusable):
            dataset.rejected.append(Rejected(f"t{turn:06d}", result.reason, result.detail))
        else:
            _take(spec, dataset, f"t{turn:06d}", result[0])
        accepted(len(dataset.rows))
    if len(dataset.rows) < data.examples:
        raise _too_few(dataset, data.examples, f"{most} turns")


async def _pairs(ask: Ask, call: Call, most: int) -> list[Pair] | Unusable:
    return await read(ask, call, lambda text: parse_pairs(text, most))


def _accept_cell(spec: Spec, dataset: Dataset, cell: Cell, result: list[Pair] | Unusable) -> None:
    if isinstance(result, Unusable):
        dataset.rejected.append(Rejected(f"c{cell.index:06d}", result.reason, result.detail))
        return
    for number, pair in enumerate(result):
        if len(dataset.rows) >= spec.data.examples:
            return  # the last call gave more than was missing
        if _take(spec, dataset, f"c{cell.index:06d}-{number}", pair):
            for axis, value in (("topic", cell.topic), *cell.values, ("difficulty", cell.difficulty)):
                dataset.coverage.setdefault(axis, Counter())[value] += 1


def _take(spec: Spec, dataset: Dataset, name: str, pair: Pair) -> bool:
    """Take a pair as a row, unless something makes it no example; whether it was taken."""
    row = Row(id=name, prompt=pair.prompt, response=pair.response)
    plan = dataset.plan
    about = "\n".join([spec.task, *((plan.prompts, plan.responses) if plan else ())])
    if copied(pair.prompt, spec.data.seeds):
        return dataset.offer(row, ("copied", "the prompt is one of data.seeds"))
    return dataset.offer(row, row_fault(pair.prompt, pair.response, about))


def _too_few(dataset: Dataset, wanted: int, asked: str) -> BadData:
    return BadData(
        f"{len(dataset.rows)} of {wanted} rows after {asked}; rejected: {counted(dataset.reasons())}",
        reason="TooFewRows",
        remedy="rejected.jsonl's reasons tell what to change: a wider task, a higher temperature, "
        "data.nearDuplicates, another teacher",
    )
