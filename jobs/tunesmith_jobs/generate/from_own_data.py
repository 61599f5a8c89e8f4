"""The dataset of own data (`data.source`): read, pinned by its digest, and with a system message."""

import math

from tunesmith.contents import SOURCE, in_words
from tunesmith.errors import BadData, Gone
from tunesmith.request import Spec
from tunesmith.settings import Source
from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.own_data.fetch import check_digest, fetch
from tunesmith_jobs.own_data.pinned import pin_of, state_of
from tunesmith_jobs.own_data.read import read_source
from tunesmith_jobs.rows import Row


def dataset_from_source(attempt: Attempt, source: Source) -> Dataset:
    """The dataset of a source.

    Raises BadData with all bad lines, SourceMismatch if the source is not what the request names, Gone if it
    is not the one that was pinned.
    """
    state = state_of(source)
    data = fetch(source.uri, source.version)
    found = pin_of(source, data, state)
    check_digest(source, found.revision)
    pin = attempt.pin(SOURCE, lambda: found)
    attempt.say(f"read {in_words(found)}")
    if pin.revision != found.revision:
        raise Gone(
            f"{source.uri} has changed since this run first read it "
            f"(sha256 {pin.revision[:12]}… then, {found.revision[:12]}… now)",
            reason="SourceChanged",
            remedy="put the old file back, or set `rerun: {from: generate, id: <new>}` to take the new one",
        )
    result = read_source(data, source)
    problems = result.problems(source.uri)
    if problems:
        raise BadData(
            f"{source.uri} cannot be used as it is",
            reason="BadRows",
            problems=problems,
            remedy="correct the file and run again",
        )
    dataset = Dataset(attempt.spec.data.near_duplicates)
    dataset.system_message, rows = _system_message(attempt.spec, result.rows)
    with answer_check(attempt.spec.evaluation.format, in_all=math.inf) as form:
        for row in rows:
            error = form(row.response) if form else ""
            dataset.offer(row, ("format", f"evaluation.format: {error}") if error else None)
    return dataset


def _system_message(spec: Spec, rows: list[Row]) -> tuple[str, list[Row]]:
    """The dataset's system message: the request's, else the one that all rows share, else the task.

    In the first two cases no row keeps a system message of its own.
    """
    shared = {row.system for row in rows}
    message = spec.data.system_message
    if message is None and len(shared) == 1:
        message = shared.pop()
    if message is None:
        return spec.task, rows
    return message, [row.model_copy(update={"system": None}) for row in rows]
