"""Endpoints that speak OpenAI's chat protocol: OpenAI's own, and nearly every other.

The client is openai's, over aiohttp, with its own retries off: there is one retry loop, in generate's caller.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from tunesmith.errors import BadRequest, Problem, Refused, TryAgain, TunesmithError
from tunesmith.plain_text import one_line
from tunesmith.secret_values import without_own_secrets
from tunesmith.settings import Teacher
from tunesmith.wire import TEACHER_API_KEY
from tunesmith_jobs.given_secrets import sendable
from tunesmith_jobs.log_lines import without_secrets
from tunesmith_jobs.teacher.calls import Answer, Call
from tunesmith_jobs.teacher.endpoint import Passing, RateLimits, Throttled, Unsupported
from tunesmith_jobs.teacher.openai_dialect import Dialect
from tunesmith_jobs.teacher.prices import models_of
from tunesmith_jobs.teacher.retry_after import retry_after

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 15.0
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated")
_KEY_PLACE = "OPENAI_API_KEY (on a cluster: the Secret that the profile or data.teacher.secret names)"
_NO_KEY = "none"  # sent to an endpoint that needs no key
_FILTERED = json.dumps(
    {
        "choices": [{"finish_reason": "content_filter", "message": {"content": ""}}],
        "usage": {"completion_tokens": 0},
    }
)


class OpenAIChat:
    """The endpoint at `data.teacher.baseURL`, or OpenAI's own."""

    def __init__(self, teacher: Teacher, timeout: float) -> None:
        self.url = teacher.base_url or OPENAI_URL
        openais = "://api.openai.com/" in self.url + "/"
        self._dialect = Dialect(tokens="max_completion_tokens" if openais else "max_tokens")
        self._teacher = teacher
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        most = self._teacher.max_concurrency + 8
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
        timeout = httpx2.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout))
        self._client = AsyncOpenAI(
            api_key=api_key(self._teacher),
            base_url=self.url,
            max_retries=0,
            timeout=timeout,
            http_client=DefaultAioHttpClient(limits=limits, timeout=timeout),
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.close()

    async def send(self, call: Call) -> tuple[Answer, RateLimits]:
        """Send one request.

        Raises Passing, Throttled, Unsupported; Refused and BadRequest, which no further try changes.
        """
        import httpx2
        import openai

        dialect = self._dialect
        begun = time.monotonic()
        try:
            # `chat.completions.create` checks the types of every message: 40 % of a call's time, and they
            # are dicts already.
            response = await self._client.post(
                "/chat/completions", cast_to=httpx2.Response, body=dialect.body(call)
            )
            answer = self.read_answer(
                without_own_secrets(response.text, os.environ), seconds=time.monotonic() - begun
            )
        except openai.APIStatusError as error:
            if _is_filtered(error):
                return self.read_answer(_FILTERED, seconds=time.monotonic() - begun), RateLimits({})
            raise self._fault(error, call, dialect) from error
        except openai.APIError as error:
            raise Passing(_connection_fault(error, self._timeout), overload=True) from error
        except ValueError as error:
            raise Passing(str(error)) from error
        return answer, announced_limits(response.headers)

    def read_answer(self, raw: str, *, seconds: float = 0.0, fresh: bool = True) -> Answer:
        """The answer in a body.

        Raises ValueError for another body (a proxy's page, an error under status 200).
        """
        try:
            body: Any = json.loads(raw)
            choice = body["choices"][0]
            message = choice["message"]
            usage = body.get("usage") or {}
            content = str.__str__(message.get("content") or "")  # a TypeError if it is not a string
            return Answer(
                raw=raw,
                content=content,
                finish_reason=choice.get("finish_reason") or "",
                refusal=message.get("refusal") or "",
                input_tokens=int(usage.get("prompt_tokens") or 0),
                output_tokens=int(usage.get("completion_tokens") or 0) or len(content.encode()) // 3,
                seconds=seconds,
                fresh=fresh,
            )
        except (KeyError, IndexError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a chat completion: {without_secrets(raw)[:120]!r}") from error

    def check(self) -> list[TunesmithError]:
        """What is wrong with the address, the key and the models.

        An endpoint without a list of models passes, and so does a model that is not listed but is there when
        asked for.
        """
        import openai

        try:
            key = api_key(self._teacher)
        except Refused as error:
            return [error]
        client = openai.OpenAI(api_key=key, base_url=self.url, max_retries=2, timeout=self._timeout)
        with client:
            try:
                listed = [model.id for model in client.models.list().data]
                missing = [self._missing(client, model, listed) for model in sorted(models_of(self._teacher))]
                return [error for error in missing if error is not None]
            except openai.APIStatusError as error:
                if error.status_code in (404, 405):
                    return []
                final = final_error(
                    error.status_code, _message(error), str(error.code or ""), self.url, self._teacher.model
                )
                return [final or self._unreachable(f"status {error.status_code}: {_message(error)}")]
            except openai.APIError as error:
                return [self._unreachable(one_line(str(error.__cause__ or error)))]
            except (ValueError, TypeError, AttributeError):
                return []  # it answers, if not with a list of models

    def _fault(self, error: "openai.APIStatusError", call: Call, dialect: Dialect) -> Exception:
        """What a status means. A form that is not known changes the dialect for all later calls."""
        status, message = error.status_code, _message(error)
        final = final_error(status, message, str(error.code or ""), self.url, call.model)
        if final is not None:
            return final
        if status == 429:
            return Throttled(message, retry_after(error.response.headers, time.time()))
        if status not in (400, 413, 422):
            return Passing(f"status {status}: {message}", overload=status in (408, 503, 529))
        if self._dialect != dialect:  # another call has changed it meanwhile
            return Unsupported(message, form="")
        other = dialect.without(call, message)
        if other is not None and error.code != "context_length_exceeded":
            self._dialect = other
            return Unsupported(message, form=str(other))
        return BadRequest(
            f"the teacher at {self.url} refuses the request ({status}): {message}",
            reason="TeacherBadRequest",
            remedy="correct data.teacher.model, data.maxTokens or the task, as the message says",
        )

    def _missing(self, client: "openai.OpenAI", model: str, listed: list[str]) -> TunesmithError | None:
        import openai

        if not listed or model in listed:
            return None
        try:
            client.models.retrieve(model)
        except openai.NotFoundError:
            some = ", ".join(sorted(listed)[:8])
            problem = Problem(
                "spec.data.teacher.model", f"{self.url} does not have this model", model, f"it lists: {some}"
            )
            return BadRequest(
                "the teacher's model is not there", reason="TeacherModelNotFound", problems=[problem]
            )
        except openai.APIError:
            return None
        return None

    def _unreachable(self, why: str) -> TryAgain:
        return TryAgain(
            f"the teacher at {self.url} cannot be reached: {why}",
            reason="TeacherUnreachable",
            remedy="check data.teacher.baseURL, the network and proxies; then run again",
        )


def api_key(teacher: Teacher) -> str:
    """The key from the environment.

    Raises Refused if OpenAI's own endpoint is to be asked without one, and for a key that cannot be sent.
    """
    key = sendable(TEACHER_API_KEY, _KEY_PLACE)
    if not key and not teacher.base_url:
        raise Refused(
            "there is no API key for the teacher",
            reason="TeacherKeyMissing",
            remedy=f"set {_KEY_PLACE}",
        )
    return key or _NO_KEY


def final_error(status: int, message: str, code: str, url: str, model: str) -> TunesmithError | None:
    """The error that no further try changes: a refused key, a used-up quota, an unknown model; else None."""
    if status in (401, 403):
        return Refused(
            f"the teacher at {url} refuses the key ({status}): {message}",
            reason="TeacherKeyRefused",
            remedy="give a key that this endpoint accepts for this model, then retry; "
            "answers so far are kept",
        )
    if status == 402 or code in _QUOTA or any(word in message for word in _QUOTA):
        return Refused(
            f"the quota of the teacher's key is used up ({status}): {message}",
            reason="TeacherQuota",
            remedy="add credit or give another key, then retry; answers so far are kept",
        )
    if status == 404:
        return BadRequest(
            f"the teacher at {url} does not know model {model!r} (404): {message}",
            reason="TeacherModelNotFound",
            remedy="correct data.teacher.model or data.teacher.baseURL (it ends in /v1 for most endpoints)",
        )
    return None


def announced_limits(headers: Mapping[str, str]) -> RateLimits:
    """The limits in the headers of an answer."""
    limits: dict[str, tuple[float, float]] = {}
    for kind in ("requests", "tokens"):
        limit = headers.get(f"x-ratelimit-limit-{kind}", "")
        remaining = headers.get(f"x-ratelimit-remaining-{kind}", "")
        if re.fullmatch(r"\d+", limit):
            known = re.fullmatch(r"\d+", remaining) is not None
            limits[kind] = (float(limit), float(remaining if known else limit))
    return RateLimits(limits)


def _connection_fault(error: "openai.APIError", timeout: float) -> str:
    """Whether the endpoint was silent or not there: aiohttp reports a refused connection as a timeout too."""
    cause = error.__cause__
    if cause is not None and isinstance(cause.__cause__, TimeoutError):
        return f"no answer in {timeout:g} s"
    return f"connection failed: {one_line(str(cause or error))}"


def _message(error: "openai.APIStatusError") -> str:
    body = error.body
    text = body.get("message") if isinstance(body, dict) else None
    # Before it is cut: of half a key nobody would know that it is one.
    return one_line(without_secrets(str(text or error.response.text or error.message)))[:300]


def _is_filtered(error: "openai.APIStatusError") -> bool:
    return error.status_code == 400 and error.code in ("content_filter", "content_policy_violation")
