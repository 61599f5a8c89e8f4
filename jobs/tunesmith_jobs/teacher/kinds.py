"""Every kind of teacher by its name. A new kind is a file of its own and a row here."""

from collections.abc import Callable, Mapping

from tunesmith.errors import TunesmithError
from tunesmith.prices import models_of
from tunesmith.settings import Data, Teacher
from tunesmith_jobs.teacher.endpoint import Endpoint
from tunesmith_jobs.teacher.openai_chat import OpenAIChat

CHECK_SECONDS = 15.0  # one request of the check

TEACHERS: Mapping[str, Callable[[Teacher, float], Endpoint]] = {"openai": OpenAIChat}
"""Makes an endpoint of `data.teacher` and the seconds that one request may take."""


def endpoint_of(teacher: Teacher, timeout: float) -> Endpoint:
    """The endpoint that a request names. All endpoints speak OpenAI's chat protocol today."""
    return TEACHERS["openai"](teacher, timeout)


def check_teacher(data: Data) -> list[TunesmithError]:
    """What is wrong with the teacher's address, key and models, found out without paying for anything."""
    return endpoint_of(data.teacher, CHECK_SECONDS).check(models_of(data))
