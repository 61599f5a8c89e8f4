"""What goes into a batch, and what its refusal means. Pure."""

from collections.abc import Iterator, Sequence

from tunesmith.errors import BadRequest, Problem
from tunesmith_jobs.teacher.batches import Batch, Line

LIVE_SHARE = 20  # one call in so many may be asked live, so that nobody waits a day for the last few
_SHOWN = 10  # errors of a batch
_TOO_MUCH = ("token_limit_exceeded", "too_many_tasks", "enqueued")


def few_enough(waiting: int, *, live: int, batched: int) -> bool:
    """Whether calls may be asked live: with those that were, at most one for LIVE_SHARE answers of batches.

    So what is paid is at most a twentieth more than that of batches alone, and no batch is made for a few.
    """
    return LIVE_SHARE * (live + waiting) <= batched


def files_of(lines: Sequence[Line], most_lines: int, most_bytes: int) -> Iterator[list[Line]]:
    """The lines in as few files as their limits allow, in order. A line that is too long is alone in one."""
    file: list[Line] = []
    size = 0
    for line in lines:
        length = len(line.data) + 1
        if file and (len(file) >= most_lines or size + length > most_bytes):
            yield file
            file, size = [], 0
        file.append(line)
        size += length
    if file:
        yield file


def too_much(batch: Batch) -> bool:
    """Whether a batch was refused because too much waits at the endpoint, or it has too many lines.

    https://github.com/openai/openai-python/issues/2084
    """
    said = [f"{error.code} {error.message}".lower() for error in batch.errors]
    return batch.status == "failed" and any(word in text for text in said for word in _TOO_MUCH)


def refusal(batch: Batch, url: str) -> BadRequest:
    """The error of a batch that its endpoint did not take, with what it says of each line."""
    problems = [
        Problem(
            f"line {error.line} of the batch" if error.line else "",
            f"{error.message[:300]}{f' ({error.code})' if error.code else ''}",
        )
        for error in batch.errors[:_SHOWN]
    ]
    more = f", {len(batch.errors)} errors" if len(batch.errors) > _SHOWN else ""
    return BadRequest(
        f"the teacher at {url} refuses batch {batch.id}{more}",
        reason="TeacherBatchFailed",
        problems=problems,
        remedy="correct data.teacher (model, body) or the task, as it says; or set data.teacher.mode to live."
        " What is answered is kept",
    )


def too_large(size: int, why: str, url: str) -> BadRequest:
    """The error of a file of one call, of so many bytes, that is not taken."""
    return BadRequest(
        f"the teacher at {url} takes no file of {size:,} bytes, which is one call: {why}",
        reason="TeacherBatchFailed",
        remedy="raise the limit on bodies of the gateway before it, or set data.teacher.mode to live",
    )
