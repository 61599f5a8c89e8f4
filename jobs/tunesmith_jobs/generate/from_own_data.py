"""The dataset of own data (`data.source`): read, pinned by its digest, and with a system message."""

import math

from tunesmith.errors import BadData
from tunesmith.request import Spec
from tunesmith.settings import Source
from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.pinned_files import pinned_files
from tunesmith_jobs.own_data.read import read_fetched
from tunesmith_jobs.rows import Row


def dataset_from_source(attempt: Attempt, source: Source) -> Dataset:
    """The dataset of a source.

    Raises BadData with all bad lines, SourceMismatch if the source is not what the request names, Gone if it
    is not the one that was pinned.
    """
    fetched = pinned_files(attempt, source)
    result = read_fetched(fetched, source)
    for line in result.findings():
        attempt.say(line)
    problems = result.problems(source.uri)
    if problems:
        raise BadData(
            f"{source.uri} cannot be used as it is",
            reason="BadRows",
            problems=problems,
            remedy="correct the file and run again",
        )
    dataset = Dataset(attempt.spec.data.near_duplicates, attempt.spec.data.semantic_duplicates)
    dataset.system_message, rows = _system_message(attempt.spec, result.rows)
    others = sum(row.system not in (None, dataset.system_message) for row in result.rows)
    if others and attempt.spec.data.system_message is not None:
        attempt.say(f"{others} rows have another system message, which data.systemMessage replaces")
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
