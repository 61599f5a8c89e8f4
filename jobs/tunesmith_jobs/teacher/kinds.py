"""Every kind of teacher by its name. A new kind is a file of its own and a row here."""

from collections.abc import Callable, Mapping

from tunesmith.errors import TunesmithError
from tunesmith.prices import models_of
from tunesmith.settings import Data, Teacher
from tunesmith_jobs.teacher.batches import BatchEndpoint
from tunesmith_jobs.teacher.endpoint import Endpoint
from tunesmith_jobs.teacher.openai_batch import OpenAIBatches
from tunesmith_jobs.teacher.openai_chat import OpenAIChat

CHECK_SECONDS = 15.0  # one request of the check

TEACHERS: Mapping[str, Callable[[Teacher, float], Endpoint]] = {"openai": OpenAIChat}
"""Makes an endpoint of `data.teacher` and the seconds that one request may take."""


def endpoint_of(teacher: Teacher, timeout: float) -> Endpoint:
    """The endpoint that a request names. All endpoints speak OpenAI's chat protocol today."""
    return TEACHERS["openai"](teacher, timeout)


def batches_of(endpoint: Endpoint) -> BatchEndpoint | None:
    """The batches of an endpoint; None if its kind has none."""
    return OpenAIBatches(endpoint) if isinstance(endpoint, OpenAIChat) else None


def check_teacher(data: Data) -> list[TunesmithError]:
    """What is wrong with the teacher's address, key, models and batches, found out without paying for
    anything.
    """
    endpoint = endpoint_of(data.teacher, CHECK_SECONDS)
    errors = endpoint.check(models_of(data))
    batches = batches_of(endpoint)
    if data.teacher.mode == "batch" and batches is not None and not errors:
        errors = batches.check()
    return errors
