"""The checks, each of one part of a request. A check yields its errors, or raises one."""

import os
from collections.abc import Iterable

from tunesmith.cost import estimate, limits
from tunesmith.cost_text import refusals
from tunesmith.errors import BadData, BadRequest, Problem, TunesmithError
from tunesmith.manifest import Pin
from tunesmith.prices import check_prices, models_of
from tunesmith.wire import OVER_BUDGET
from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.documents.read import documents_in
from tunesmith_jobs.generate.journal import journal_folder
from tunesmith_jobs.generate.meaning import check_installed
from tunesmith_jobs.other_run import newest
from tunesmith_jobs.own_data.read import check_source
from tunesmith_jobs.storage import open_store
from tunesmith_jobs.teacher.kinds import check_teacher
from tunesmith_jobs.trackers import check_trackers_if_this_trains


def store(attempt: Attempt) -> Iterable[TunesmithError]:
    """The store can be written, and refuses to write where something is already."""
    attempt.store.probe()
    return ()


def teacher(attempt: Attempt) -> Iterable[TunesmithError]:
    """The teacher answers, takes the key and has the models."""
    data = attempt.spec.data
    if not data.asks_teacher:
        return ()
    return check_teacher(data)


def own_data(attempt: Attempt) -> Iterable[TunesmithError]:
    """Every line of the source can be used."""
    source = attempt.spec.data.source
    if source is None:
        return
    problems = check_source(source)
    if problems:
        yield BadData(f"{source.uri} cannot be used as it is", reason="BadRows", problems=problems)


def documents(attempt: Attempt) -> Iterable[TunesmithError]:
    """Every document can be read."""
    if attempt.spec.data.documents is not None:
        documents_in(attempt.spec.data.documents)
    return ()


def other_dataset(attempt: Attempt) -> Iterable[TunesmithError]:
    """The run that `data.from` names has a dataset."""
    reference = attempt.spec.data.from_
    if reference is not None:
        newest(attempt, reference, stage="generate", path="spec.data.from")
    return ()


def output(attempt: Attempt) -> Iterable[TunesmithError]:
    """The place that results are delivered to can be written."""
    if attempt.spec.output:
        open_store(attempt.spec.output).probe()
    return ()


def answer_format(attempt: Attempt) -> Iterable[TunesmithError]:
    """Answers can be checked against the evaluation's JSON schema or regular expression."""
    with answer_check(attempt.spec.evaluation.format):
        return ()


def trackers(attempt: Attempt) -> Iterable[TunesmithError]:
    """The trackers are installed, if this process can know."""
    check_trackers_if_this_trains(attempt.spec.training.report_to)
    return ()


def meanings(attempt: Attempt) -> Iterable[TunesmithError]:
    """Meanings can be compared here, if the request asks for it."""
    if attempt.spec.data.from_ is None:
        check_installed(attempt.spec.data.semantic_duplicates)
    return ()


INDEPENDENT = (store, teacher, own_data, documents, other_dataset, meanings, output, answer_format, trackers)
"""The checks that need nothing but the request."""


def adapter(attempt: Attempt, base: Pin | None) -> Iterable[TunesmithError]:
    """The adapter to start from was trained on this very base model."""
    reference = attempt.spec.training.from_
    if reference is None:
        return
    path = "spec.training.from"
    trained, _ = newest(attempt, reference, stage="train", path=path)
    other = trained.pins.get("base")
    if base is None or other is None or other.revision == base.revision:
        return
    same = f"{other.uri.partition('@')[0]}@{other.revision}" if other.uri.startswith("hf://") else other.uri
    problem = Problem(
        path,
        f"the adapter of run {trained.run} was trained on {other.uri} at {other.revision[:12]}, "
        f"which is not {base.uri} at {base.revision[:12]}",
        trained.run,
        f"set spec.model.base to {same}, or start from another run",
    )
    yield BadRequest(
        "the adapter to start from is for another model", reason="AdapterForOtherModel", problems=[problem]
    )


def budget(attempt: Attempt) -> Iterable[TunesmithError]:
    """The budget can be enough, and the prices that it needs are known.

    A run that has paid for answers goes on as long as the budget lasts, and so does one whose user has seen
    the estimate and wants it all the same.
    """
    spec = attempt.spec
    found = estimate(spec)
    if found is None:
        return
    try:
        check_prices(models_of(spec.data), spec.data.budget)
    except BadRequest as error:
        yield error
    problems = list(refusals(limits(spec, found)))
    if problems and os.environ.get(OVER_BUDGET) != "1" and not _paid_before(attempt):
        yield BadRequest("the budget cannot be enough", reason="BudgetTooSmall", problems=problems)


def _paid_before(attempt: Attempt) -> bool:
    return next(iter(attempt.store.list(f"{journal_folder(attempt.snapshot.run)}/")), None) is not None
