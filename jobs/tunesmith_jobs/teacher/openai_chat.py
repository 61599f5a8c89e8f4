"""Endpoints that speak OpenAI's chat protocol: OpenAI's own, and nearly every other.

The client is openai's, over aiohttp, with its own retries off: there is one retry loop, in generate's caller.
"""

import json
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from tunesmith.errors import BadRequest, Problem, Refused, TryAgain, TunesmithError
from tunesmith.plain_text import one_line
from tunesmith.secret_values import without_own_secrets
from tunesmith.settings import Teacher
from tunesmith.wire import TEACHER_API_KEY
from tunesmith_jobs.given_secrets import sendable
from tunesmith_jobs.log_lines import without_secrets
from tunesmith_jobs.teacher.calls import Answer, Call
from tunesmith_jobs.teacher.endpoint import Outgrown, Passing, RateLimits, Throttled, Unsupported
from tunesmith_jobs.teacher.members import Members, members_of
from tunesmith_jobs.teacher.openai_answer import ErrorBody, read_answer
from tunesmith_jobs.teacher.openai_dialect import Dialect
from tunesmith_jobs.teacher.openai_faults import Fault, fault_of
from tunesmith_jobs.teacher.openai_habits import Habits, as_named
from tunesmith_jobs.teacher.rate_limits import announced_limits, reset_in
from tunesmith_jobs.teacher.retry_after import retry_after, retry_after_in

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 15.0
_KEY_PLACE = "OPENAI_API_KEY (on a cluster: the Secret that the profile or data.teacher.secret names)"
_OF_DEPLOYMENT = (
    "correct the deployment in data.teacher.baseURL; Azure also wants a version, as in "
    "data.teacher.query: {api-version: 2024-10-21}"
)
_NO_KEY = "none"  # sent to an endpoint that needs no key


@dataclass(frozen=True)
class Said:
    """A refusal: its status, the error's code and message, and the seconds to wait that it asks for."""

    status: int
    code: str
    message: str
    retry_after: float | None = None


class OpenAIChat:
    """The endpoint at `data.teacher.baseURL`, or OpenAI's own."""

    def __init__(self, teacher: Teacher, timeout: float) -> None:
        self.url = teacher.base_url or OPENAI_URL
        openais = "://api.openai.com/" in self.url + "/"
        self._first = Dialect(
            tokens="max_completion_tokens" if openais else "max_tokens", effort=teacher.reasoning_effort
        )
        self._known: dict[str, Habits] = {}
        self.left_out: dict[str, openai.Omit] = {}
        self._teacher = teacher
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        members = members_of(self._teacher)
        self.left_out = _left_out(self._teacher, members)
        most = self._teacher.max_concurrency + 8
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
        timeout = httpx2.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout))
        self.client = AsyncOpenAI(
            api_key=api_key(self._teacher),
            base_url=self.url,
            default_headers=members.headers,
            default_query=members.query,
            max_retries=0,
            timeout=timeout,
            http_client=DefaultAioHttpClient(limits=limits, timeout=timeout),
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()

    async def send(self, call: Call) -> tuple[Answer, RateLimits]:
        """Send one request.

        Raises Passing, Throttled, Unsupported; Refused and BadRequest, which no further try changes.
        """
        import httpx2
        import openai

        dialect, body = self.asked(call)
        begun = time.monotonic()
        try:
            # `chat.completions.create` checks the types of every message: 40 % of a call's time, and they
            # are dicts already.
            response = await self.client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                body=body,
                options={"headers": self.left_out},
            )
        except openai.APIStatusError as error:
            return self.refused(said_by(error), call, dialect, time.monotonic() - begun), RateLimits({})
        except openai.APIError as error:
            raise Passing(_connection_fault(error, self._timeout), overload=True) from error
        limits = announced_limits(response.headers, time.time())
        text = without_own_secrets(response.text, os.environ)
        return self.read(text, call, dialect, time.monotonic() - begun), limits

    def asked(self, call: Call) -> tuple[Dialect, dict[str, Any]]:
        """The form in which a call is asked now, and its body."""
        dialect = self._habits(call.model).dialect
        return dialect, dialect.body(call) | self._teacher.body

    def read(self, text: str, call: Call, dialect: Dialect, seconds: float) -> Answer:
        """The answer in the body that a call got, which was asked in this form. Raises what `send` raises."""
        try:
            answer = read_answer(text, seconds=seconds)
        except ErrorBody as error:
            said = Said(error.status or 500, error.code, told(error.message))
            return self.refused(said, call, dialect, seconds)
        except ValueError as error:
            raise Passing(str(error)) from error
        habits = self._habits(call.model)
        known = habits.dialect
        if habits.answered(dialect, call, answer):
            raise Outgrown(answer, form=_news(known, habits.dialect))
        return answer

    def sized(self, call: Call) -> Call:
        """The call with the tokens that its answer is allowed."""
        return replace(call, allowed=self._habits(call.model).dialect.allowed(call))

    def remember(self, model: str, answer: Answer) -> None:
        """Learn from an answer of an earlier attempt how much room the model's thoughts need."""
        self._habits(model).remember(answer)

    def read_answer(self, raw: str, *, seconds: float = 0.0, fresh: bool = True) -> Answer:
        """The answer in a body. Raises ValueError for another body (a proxy's page, an error)."""
        try:
            return read_answer(raw, seconds=seconds, fresh=fresh)
        except ErrorBody as error:
            raise ValueError(f"an error: {error}") from error

    def check(self, models: frozenset[str]) -> list[TunesmithError]:
        """What is wrong with the address, the key and the models.

        An endpoint without a list of models passes, and so does a model that is not listed but is there when
        asked for, which may cost one token.
        """
        import openai

        try:
            client = self.checking()
        except Refused as error:
            return [error]
        with client:
            try:
                listed = [model.id for model in client.models.list(extra_headers=self.left_out).data]
                missing = [self._missing(client, model, listed) for model in sorted(models)]
                return [error for error in missing if error is not None]
            except openai.APIStatusError as error:
                if error.status_code != 401:  # the list is not there, or not for this key: chat may work
                    return []
                said = Said(401, str(error.code or ""), _message(error))
                final = final_error(Fault.KEY, said, self.url, self._teacher.model)
                return [final] if final else []
            except openai.APIError as error:
                return [self.unreachable(one_line(str(error.__cause__ or error)))]
            except (ValueError, TypeError, AttributeError):
                return []  # it answers, if not with a list of models

    def checking(self) -> "openai.OpenAI":
        """A client for a check, to be closed. Raises Refused for a key or a secret that is missing."""
        import openai

        members = members_of(self._teacher)
        self.left_out = _left_out(self._teacher, members)
        return openai.OpenAI(
            api_key=api_key(self._teacher),
            base_url=self.url,
            default_headers=members.headers,
            default_query=members.query,
            max_retries=2,
            timeout=self._timeout,
        )

    def refused(self, said: Said, call: Call, dialect: Dialect, seconds: float) -> Answer:
        """What a refusal comes to: an answer, if it is of this call only; else it raises what it means."""
        fault = fault_of(said.status, said.code, said.message)
        if fault is Fault.MODERATED:
            return self._withheld("content_filter", said.message, seconds)
        if fault is Fault.UNREADABLE:
            return self._withheld("", said.message, seconds)
        final = final_error(fault, said, self.url, call.model)
        if final is not None:
            raise final
        if fault is Fault.RATE:
            raise Throttled(said.message, said.retry_after)
        if fault in (Fault.OVERLOAD, Fault.PASSING):
            raise Passing(
                f"status {said.status}: {said.message}",
                overload=fault is Fault.OVERLOAD,
                retry_after=said.retry_after,
            )
        habits = self._habits(call.model)
        known = habits.dialect
        other = habits.another(dialect, call, fault, said.message)
        if other is not None:
            raise Unsupported(said.message, form=_news(known, other))
        if habits.proven(call):
            return self._withheld("", said.message, seconds)
        raise BadRequest(
            f"the teacher at {self.url} refuses the request ({said.status}): {said.message}",
            reason="TeacherBadRequest",
            remedy="correct data.teacher (model, headers, query, body), data.maxTokens or the task, "
            "as the message says",
        )

    def _withheld(self, finish: str, message: str, seconds: float) -> Answer:
        """The answer to a call that is refused for what it says: it costs nothing, and is asked for once."""
        choice = {"finish_reason": finish, "message": {"content": "", "refusal": message}}
        return read_answer(json.dumps({"choices": [choice]}), seconds=seconds)

    def _habits(self, model: str) -> Habits:
        if model not in self._known:
            self._known[model] = Habits(as_named(self._first, model), self._teacher.body)
        return self._known[model]

    def _missing(self, client: "openai.OpenAI", model: str, listed: list[str]) -> TunesmithError | None:
        """The error if a model is neither listed nor there when it is asked for.

        Routers and deployments list other names than those that chat takes, so the last word has a chat of
        one token.
        """
        import openai

        if not listed or model in listed:
            return None
        try:
            client.models.retrieve(model, extra_headers=self.left_out)
        except openai.NotFoundError:
            if self._teacher.mode == "batch" and at_azure(self.url):
                return None  # a batch deployment is not listed, and answers no call
            return self._not_there(client, model, listed)
        except openai.APIError:
            return None
        return None

    def _not_there(self, client: "openai.OpenAI", model: str, listed: list[str]) -> TunesmithError | None:
        import httpx2
        import openai

        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], self._first.tokens: 1}
        body |= self._teacher.body
        try:
            client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                body=body,
                options={"headers": self.left_out},
            )
        except openai.APIStatusError as error:
            if fault_of(error.status_code, str(error.code or ""), _message(error)) is not Fault.MODEL:
                return None
            some = f"it lists: {', '.join(sorted(listed)[:8])}"
            problem = Problem("spec.data.teacher.model", f"{self.url} does not have this model", model, some)
            return BadRequest(
                "the teacher's model is not there", reason="TeacherModelNotFound", problems=[problem]
            )
        except openai.APIError:
            return None
        return None

    def unreachable(self, why: str) -> TryAgain:
        """The error of an endpoint that does not answer."""
        return TryAgain(
            f"the teacher at {self.url} cannot be reached: {why}",
            reason="TeacherUnreachable",
            remedy="check data.teacher.baseURL, the network and proxies; then run again",
        )


def at_azure(url: str) -> bool:
    """Whether an endpoint is one of Azure's."""
    return ".azure.com/" in f"{url}/"


def api_key(teacher: Teacher) -> str:
    """The key from the environment.

    Raises Refused if OpenAI's own endpoint is to be asked without one, and for a key that cannot be sent.
    """
    key = sendable(TEACHER_API_KEY, _KEY_PLACE)
    if not key and not teacher.base_url and not _has_further_secrets(teacher):
        raise Refused(
            "there is no API key for the teacher",
            reason="TeacherKeyMissing",
            remedy=f"set {_KEY_PLACE}",
        )
    return key or _NO_KEY


def _has_further_secrets(teacher: Teacher) -> bool:
    return bool(teacher.secret_headers or teacher.secret_query)


def _left_out(teacher: Teacher, members: Members) -> "dict[str, openai.Omit]":
    """The headers of the client that are not sent: a key that comes by another header, or by the query, is
    the only one.
    """
    import openai

    named = any(name.lower() == "authorization" for name in members.headers)
    alone = members.keyed and not named and api_key(teacher) == _NO_KEY
    return {"Authorization": openai.Omit()} if alone else {}


def final_error(fault: Fault, said: Said, url: str, model: str) -> TunesmithError | None:
    """The error that no further try changes: a refused key, a used-up quota, an unknown model; else None."""
    if fault is Fault.KEY:
        return Refused(
            f"the teacher at {url} refuses the key ({said.status}): {said.message}",
            reason="TeacherKeyRefused",
            remedy="give a key that this endpoint accepts for this model, in the header that it reads "
            "(by data.teacher.secret Authorization, else by secretHeaders), then retry; "
            "answers so far are kept",
        )
    if fault is Fault.QUOTA:
        return Refused(
            f"the quota of the teacher's key is used up ({said.status}): {said.message}",
            reason="TeacherQuota",
            remedy="add credit or give another key, then retry; answers so far are kept",
        )
    if fault is Fault.MODEL:
        return BadRequest(
            f"the teacher at {url} does not know model {model!r} ({said.status}): {said.message}",
            reason="TeacherModelNotFound",
            remedy=_OF_DEPLOYMENT
            if "/deployments/" in url
            else "correct data.teacher.model or data.teacher.baseURL (it ends in /v1 for most endpoints)",
        )
    return None


def _connection_fault(error: "openai.APIError", timeout: float) -> str:
    """Whether the endpoint was silent or not there: aiohttp reports a refused connection as a timeout too."""
    cause = error.__cause__
    if cause is not None and isinstance(cause.__cause__, TimeoutError):
        return f"no answer in {timeout:g} s"
    return f"connection failed: {one_line(str(cause or error))}"


def _waits(error: "openai.APIStatusError", message: str) -> float | None:
    """Seconds to wait, as the headers of a refusal tell them, or its words."""
    headers, now = error.response.headers, time.time()
    for told in (retry_after(headers, now), retry_after_in(message), reset_in(headers, now)):
        if told is not None:
            return told
    return None


def said_by(error: "openai.APIStatusError") -> Said:
    """What a refusal says."""
    message = _message(error)
    return Said(error.status_code, str(error.code or ""), message, _waits(error, message))


def _message(error: "openai.APIStatusError") -> str:
    body = error.body
    text = body.get("message") if isinstance(body, dict) else None
    return told(str(text or error.response.text or error.message))


def told(text: str) -> str:
    """What an endpoint says, as it may be told."""
    # Before it is cut: of half a key nobody would know that it is one.
    return one_line(without_secrets(text))[:300]


def _news(known: Dialect, now: Dialect) -> str:
    """The form to tell of; empty if another call had already brought it about."""
    return str(now) if now != known else ""
