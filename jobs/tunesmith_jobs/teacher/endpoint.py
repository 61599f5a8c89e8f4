"""The seam for a kind of teacher: what an endpoint is asked, what it answers, and what its faults mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from tunesmith.errors import TunesmithError
from tunesmith_jobs.teacher.calls import Answer, Call


class Passing(Exception):
    """A fault that may pass.

    `overload`: the endpoint is too busy, or gone, so fewer requests may help. `retry_after`: the seconds it
    asks to wait, if it names them.
    """

    def __init__(self, why: str, *, overload: bool = False, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.overload = overload
        self.retry_after = retry_after


class Throttled(Passing):
    """The endpoint limits the rate (429)."""

    def __init__(self, why: str, retry_after: float | None) -> None:
        super().__init__(why, overload=True, retry_after=retry_after)


class Absent(Passing):
    """What is asked for is not there, or not there yet (404)."""


class Unsupported(Exception):
    """The endpoint does not know a parameter, and is asked in another form from now on.

    `form` names the new form; it is empty if another call had already brought it about.
    """

    def __init__(self, why: str, form: str) -> None:
        super().__init__(why)
        self.form = form


class Outgrown(Exception):
    """The model's thoughts have cut its answer off, which is paid for; there is more room for another one.

    `form` names the new form; it is empty if another call had already brought it about.
    """

    def __init__(self, answer: Answer, form: str) -> None:
        super().__init__(
            f"after {answer.output_tokens} tokens, thoughts among them, there is no whole answer"
        )
        self.answer = answer
        self.form = form


@dataclass(frozen=True)
class RateLimits:
    """The limits that an answer announces.

    For `requests` and `tokens`: how many there may be a minute, and how many of them remain, if it is said.
    """

    per_minute: Mapping[str, tuple[float, float | None]]


class Endpoint(Protocol):
    """A teacher behind its address.

    It sends one request at a time; when, and whether again, is the caller's business.

    It is made with the request's `data.teacher` and the seconds that one request may take, which opens
    nothing yet. It is asked within `async with`, which raises Refused if a key is needed and there is none.
    """

    url: str
    """The address, for messages."""

    async def __aenter__(self) -> Self:
        """Open the connections."""
        ...

    async def __aexit__(self, *error: object) -> None:
        """Close them."""
        ...

    def sized(self, call: Call) -> Call:
        """The call with the tokens that its answer would be allowed now, thoughts among them."""
        ...

    def remember(self, model: str, answer: Answer) -> None:
        """Learn from an answer of an earlier attempt how this model is to be asked."""
        ...

    async def send(self, call: Call) -> tuple[Answer, RateLimits]:
        """Send one request, in the form that the endpoint is known to take, and read its answer.

        A call that is refused for what it says gets an answer that says so. Raises Passing or Throttled for
        what may pass, Unsupported for a form that the endpoint does not take, Outgrown for an answer that is
        cut off by thoughts, and a TunesmithError (Refused, BadRequest) for what stays as it is however often
        the call is sent.
        """
        ...

    def read_answer(self, raw: str, *, seconds: float = 0.0, fresh: bool = True) -> Answer:
        """The answer in a response's body, fresh or from the journal.

        Raises ValueError if the body is something else.
        """
        ...

    def check(self, models: frozenset[str]) -> list[TunesmithError]:
        """What is wrong with the address, the key and the models, found out without paying for anything."""
        ...
