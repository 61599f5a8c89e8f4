"""The two ways to have rows written: from a plan, in parallel, or in a chain, one after another.

Both end when exactly as many rows are accepted as were asked for.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from tunesmith.errors import BadData
from tunesmith.request import Spec
from tunesmith_jobs.answer_format.bounded import AnswerCheck
from tunesmith_jobs.documents.passages import Passage
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.dataset import Dataset, Rejected, counted
from tunesmith_jobs.generate.dataset_plan import Cell, DatasetPlan, cell_at, seed_of
from tunesmith_jobs.generate.grounding import Passages
from tunesmith_jobs.generate.parse_answers import Pair, parse_plan, parse_system_message
from tunesmith_jobs.generate.screen import Screen, Screened, Written
from tunesmith_jobs.generate.usable_answers import Ask, Unusable, UselessRun, sample_until_usable
from tunesmith_jobs.rows import Row
from tunesmith_jobs.teacher.calls import Call

SPARE_CELLS = 20  # in addition to twice as many as were asked for
AHEAD = 4  # cells under way at most, as a multiple of the requests that may be
BATCHED_AHEAD = 10_000  # cells in batches at most: 240 MiB of memory, of the 512 that the pod asks for

Accepted = Callable[[int], None]  # is called with the number of accepted rows


async def fill(
    ask: Ask,
    spec: Spec,
    dataset: Dataset,
    accepted: Accepted,
    form: AnswerCheck | None = None,
    *,
    passages: Sequence[Passage] = (),
    ask_for_rows: Ask | None = None,
) -> None:
    """Fill the dataset as the request's strategy says: system message, plan, rows.

    `form`: the running check of `evaluation.format`, if the request has one. `passages`: of the documents
    that the rows rest on. `ask_for_rows`: how rows of a plan, and what is asked about them, are asked for, if
    it is in another way.
    """
    if spec.data.strategy == "chain":
        dataset.system_message = await make_system_message(ask, spec)
        await rows_by_chain(Screen(ask, spec, dataset, form), spec, dataset, accepted)
        return
    planning = asyncio.create_task(make_plan(ask, spec, passages))
    try:
        dataset.system_message = await make_system_message(ask, spec)
        dataset.plan = await planning
    finally:
        planning.cancel()
        await asyncio.gather(planning, return_exceptions=True)
    screen = Screen(ask_for_rows or ask, spec, dataset, form)
    await rows_by_plan(screen, spec, dataset, dataset.plan, accepted, passages)


async def make_plan(ask: Ask, spec: Spec, passages: Sequence[Passage] = ()) -> DatasetPlan:
    """The plan of a task: the request's, else the teacher's."""
    if spec.data.plan is not None:
        return DatasetPlan.model_validate_json(spec.data.plan.model_dump_json(by_alias=True))

    def call(sample: int) -> Call:
        return prompts.plan_call(spec, sample, passages)

    return await sample_until_usable(ask, call, parse_plan, "plan")


async def make_system_message(ask: Ask, spec: Spec) -> str:
    """The system message: the request's, else the teacher's."""

    def call(sample: int) -> Call:
        return prompts.system_message_call(spec, sample)

    if spec.data.system_message is not None:
        return spec.data.system_message
    return await sample_until_usable(ask, call, parse_system_message, "system message")


async def rows_by_plan(
    screen: Screen,
    spec: Spec,
    dataset: Dataset,
    dataset_plan: DatasetPlan,
    accepted: Accepted,
    passages: Sequence[Passage] = (),
) -> None:
    """Fill the dataset from cells, which are asked for in parallel and accepted in their order."""
    data = spec.data
    most = 2 * -(-data.examples // data.pairs_per_call) + SPARE_CELLS
    batched = data.teacher.mode == "batch"
    width = BATCHED_AHEAD if batched else AHEAD * data.teacher.max_concurrency
    pending: dict[int, asyncio.Task[Written | Unusable]] = {}
    useless = UselessRun()
    started = next_cell = 0
    drawn = Passages(passages, data.seed) if passages else None

    def cell(index: int) -> Cell:
        planned = cell_at(dataset_plan, data.seed, index, evolve=data.evolve)
        return replace(planned, topic="", passage=drawn.at(index)) if drawn else planned

    def may_start() -> bool:
        # Only as many as are still missing if all under way turn out well: nothing is paid for that is not
        # needed.
        enough = len(dataset.rows) + data.pairs_per_call * len(pending) >= data.examples
        return len(pending) < width and started < most and not enough

    try:
        while len(dataset.rows) < data.examples:
            while may_start():
                pending[started] = asyncio.create_task(_pairs(screen, spec, dataset_plan, cell(started)))
                started += 1
            if not pending:
                raise _too_few(dataset, data.examples, f"{started} calls")
            result = await pending.pop(next_cell)
            useless.count(_gain(result))
            _accept_cell(spec, dataset, cell(next_cell), result)
            next_cell += 1
            accepted(len(dataset.rows))
    finally:
        for task in pending.values():
            task.cancel()
        await asyncio.gather(*pending.values(), return_exceptions=True)


async def _pairs(screen: Screen, spec: Spec, dataset_plan: DatasetPlan, cell: Cell) -> Written | Unusable:
    """The pairs of a cell, made harder where the cell says so."""
    call = prompts.cell_call(spec, dataset_plan, cell)
    if not cell.rewriting:
        return await screen.pairs(call, spec.data.pairs_per_call, passage=cell.passage)

    def rewriting(pair: Pair) -> Call:
        return prompts.rewriting_call(spec, dataset_plan, cell, pair)

    return await screen.pairs(call, spec.data.pairs_per_call, rewriting, cell.passage)


async def rows_by_chain(screen: Screen, spec: Spec, dataset: Dataset, accepted: Accepted) -> None:
    """Fill the dataset one pair after another; the teacher is shown earlier pairs, drawn at random."""
    data = spec.data
    most = 2 * data.examples + SPARE_CELLS
    useless = UselessRun()
    for turn in range(most):
        if len(dataset.rows) >= data.examples:
            return
        draw = random.Random(seed_of(data.seed, "chain", turn))
        shown = draw.sample(dataset.rows, min(data.feedback, len(dataset.rows)))
        result = await screen.pairs(prompts.chain_call(spec, turn, shown), 1)
        useless.count(_gain(result))
        if isinstance(result, Unusable):
            dataset.rejected.append(Rejected(f"t{turn:06d}", result.reason, result.detail))
        else:
            _take(dataset, f"t{turn:06d}", result.pairs[0])
        accepted(len(dataset.rows))
    if len(dataset.rows) < data.examples:
        raise _too_few(dataset, data.examples, f"{most} turns")


def _gain(result: Written | Unusable) -> Written | Unusable:
    """The result; Unusable if no pair of it is an example."""
    if isinstance(result, Unusable) or any(screened.fault is None for screened in result.pairs):
        return result
    reason, detail = next(screened.fault for screened in result.pairs if screened.fault is not None)
    return Unusable(reason, detail, result.fresh)


def _accept_cell(spec: Spec, dataset: Dataset, cell: Cell, result: Written | Unusable) -> None:
    before = len(dataset.rows)
    if isinstance(result, Unusable):
        dataset.rejected.append(Rejected(f"c{cell.index:06d}", result.reason, result.detail))
    else:
        _accept_pairs(spec, dataset, cell, result)
    if cell.passage is not None and dataset.passages is not None:
        dataset.passages.note(cell.passage.name, len(dataset.rows) - before)


def _accept_pairs(spec: Spec, dataset: Dataset, cell: Cell, result: Written) -> None:
    for number, screened in enumerate(result.pairs):
        if len(dataset.rows) >= spec.data.examples:
            return  # the last call gave more than was missing
        name = f"c{cell.index:06d}-{number}"
        if _take(dataset, name, screened, cell.passage):
            dataset.topics[name] = cell.passage.document if cell.passage else cell.topic
            about = (
                ("topic", cell.topic),
                ("persona", cell.persona),
                *cell.values,
                ("difficulty", cell.difficulty),
                ("rewriting", cell.rewriting),
            )
            for axis, value in ((axis, value) for axis, value in about if value):
                dataset.coverage.setdefault(axis, Counter())[value] += 1


def _take(dataset: Dataset, name: str, screened: Screened, passage: Passage | None = None) -> bool:
    """Take a pair as a row, unless something makes it no example; whether it was taken."""
    pair = screened.pair
    row = Row(
        id=name,
        prompt=pair.prompt,
        response=pair.response,
        verdict=screened.verdict,
        passage=passage.name if passage else None,
        evidence=pair.evidence if passage else None,
    )
    return dataset.offer(row, screened.fault)


def _too_few(dataset: Dataset, wanted: int, asked: str) -> BadData:
    return BadData(
        f"{len(dataset.rows)} of {wanted} rows after {asked}; rejected: {counted(dataset.reasons())}",
        reason="TooFewRows",
        remedy="rejected.jsonl's reasons tell what to change: a wider task, a higher temperature, "
        "data.nearDuplicates, another teacher",
    )
