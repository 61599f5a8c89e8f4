"""The teacher's endpoint: one request at a time, and what its faults mean. Who asks when, and again, is runner.py's.

The client is openai's, over aiohttp, with its own retries off: there is one retry loop.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tunesmith.errors import BadRequest, Problem, Refused, TryAgain, TunesmithError
from tunesmith.request import Spec
from tunesmith.settings import Teacher as Settings
from tunesmith.wire import TEACHER_API_KEY
from tunesmith_jobs.generate.calls import Answer, Call, read_answer
from tunesmith_jobs.generate.dialect import Dialect

if TYPE_CHECKING:
    import httpx2
    import openai

OPENAI_URL = "https://api.openai.com/v1"
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated")
_NO_KEY = "none"  # what an endpoint without keys is sent


class Passing(Exception):
    """A fault that may pass. `overload`: the endpoint is too busy, or gone, so fewer requests may help."""

    def __init__(self, why: str, *, overload: bool = False) -> None:
        super().__init__(why)
        self.overload = overload


class Throttled(Passing):
    """429. `retry_after` in seconds, if the endpoint said so."""

    def __init__(self, why: str, retry_after: float | None) -> None:
        super().__init__(why, overload=True)
        self.retry_after = retry_after


class Unsupported(Exception):
    """The endpoint does not know a parameter. `dialect`: how to ask from now on."""

    def __init__(self, why: str, dialect: Dialect) -> None:
        super().__init__(why)
        self.dialect = dialect


@dataclass(frozen=True)
class Headers:
    """Rate limits that an answer announces: a minute's limit and what remains of it, for `requests` and `tokens`."""

    limits: Mapping[str, tuple[float, float]]


class Endpoint:
    """The teacher behind its address. `async with` it."""

    def __init__(self, settings: Settings, *, timeout: float) -> None:
        self.url = settings.base_url or OPENAI_URL
        self.dialect = Dialect(
            tokens="max_completion_tokens" if "://api.openai.com/" in self.url + "/" else "max_tokens"
        )
        self._most = settings.max_concurrency
        self._timeout = timeout
        self._key = api_key(settings)

    async def __aenter__(self) -> Self:
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient

        limits = httpx2.Limits(max_connections=self._most + 8, max_keepalive_connections=self._most + 8)
        timeout = httpx2.Timeout(self._timeout, connect=min(15.0, self._timeout))
        self._client = AsyncOpenAI(
            api_key=self._key,
            base_url=self.url,
            max_retries=0,
            timeout=timeout,
            http_client=DefaultAioHttpClient(limits=limits, timeout=timeout),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def send(self, call: Call) -> tuple[Answer, Headers]:
        """One request. Raises Passing, Throttled, Unsupported; Refused and BadRequest, which no further try changes."""
        import httpx2
        import openai

        dialect = self.dialect
        begun = time.monotonic()
        try:
            # `chat.completions.create` walks every message against its types: 40 % of a call's time, for what is a dict already.
            response = await self._client.post(
                "/chat/completions", cast_to=httpx2.Response, body=dialect.body(call)
            )
            answer = read_answer(response.text, seconds=time.monotonic() - begun)
        except openai.APIStatusError as error:
            if _filtered(error):
                return read_answer(_FILTERED, seconds=time.monotonic() - begun), Headers({})
            raise self._meaning(error, call, dialect) from error
        except openai.APIError as error:
            raise Passing(_lost(error, self._timeout), overload=True) from error
        except ValueError as error:
            raise Passing(str(error)) from error
        return answer, _limits(response.headers)

    def _meaning(self, error: "openai.APIStatusError", call: Call, dialect: Dialect) -> Exception:
        status, message = error.status_code, _message(error)
        if fatal := fatal_error(status, message, str(error.code or ""), self.url, call.model):
            return fatal
        if status == 429:
            return Throttled(message, retry_after(error.response.headers, time.time()))
        if status in (400, 413, 422):
            if self.dialect != dialect:
                return Unsupported(message, self.dialect)
            if (
                error.code != "context_length_exceeded"
                and (other := dialect.without(call, message)) is not None
            ):
                return Unsupported(message, other)
            return BadRequest(
                f"the teacher at {self.url} refuses the request ({status}): {message}",
                reason="TeacherBadRequest",
                remedy="correct data.teacher.model, data.maxTokens or the task, as the message says",
            )
        return Passing(f"status {status}: {message}", overload=status in (408, 503, 529))


_FILTERED = json.dumps(
    {
        "choices": [{"finish_reason": "content_filter", "message": {"content": ""}}],
        "usage": {"completion_tokens": 0},
    }
)


def api_key(settings: Settings) -> str:
    """The key from the environment. Raises Refused where OpenAI's own endpoint is asked without one."""
    key = os.environ.get(TEACHER_API_KEY, "").strip()
    if not key and not settings.base_url:
        raise Refused(
            "there is no API key for the teacher",
            reason="TeacherKeyMissing",
            remedy="set OPENAI_API_KEY (on a cluster: the Secret that the profile or data.teacher.secret names)",
        )
    return key or _NO_KEY


def fatal_error(status: int, message: str, code: str, url: str, model: str) -> TunesmithError | None:
    """What no further try changes: a refused key, a quota that is gone, a model that is not there."""
    if status in (401, 403):
        return Refused(
            f"the teacher at {url} refuses the key ({status}): {message}",
            reason="TeacherKeyRefused",
            remedy="give a key that this endpoint accepts for this model, then retry; answers so far are kept",
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


def check_teacher(spec: Spec) -> list[TunesmithError]:
    """What is wrong with the teacher's endpoint, key and model, without paying for anything; for the preflight.

    An endpoint without a list of models is no problem; neither is a list without the model, where asking for the model finds it.
    """
    import openai

    settings = spec.data.teacher
    url = settings.base_url or OPENAI_URL
    try:
        client = openai.OpenAI(api_key=api_key(settings), base_url=url, max_retries=2, timeout=15.0)
    except Refused as error:
        return [error]
    models = sorted({settings.model, settings.system_message_model or settings.model})
    with client:
        try:
            known = [model.id for model in client.models.list().data]
            return [problem for model in models if (problem := _missing(client, model, known, url))]
        except openai.APIStatusError as error:
            if error.status_code == 404 or error.status_code == 405:
                return []
            fatal = fatal_error(
                error.status_code, _message(error), str(error.code or ""), url, settings.model
            )
            return [fatal or _unreachable(url, f"status {error.status_code}: {_message(error)}")]
        except openai.APIError as error:
            return [_unreachable(url, str(error.__cause__ or error))]
        except (ValueError, TypeError, AttributeError):
            return []  # an answer, though no list of models


def _missing(client: "openai.OpenAI", model: str, known: list[str], url: str) -> TunesmithError | None:
    import openai

    if not known or model in known:
        return None
    try:
        client.models.retrieve(model)
    except openai.NotFoundError:
        some = ", ".join(sorted(known)[:8])
        problem = Problem(
            "spec.data.teacher.model", f"{url} does not have this model", model, f"it lists: {some}"
        )
        return BadRequest(
            "the teacher's model is not there", reason="TeacherModelNotFound", problems=[problem]
        )
    except openai.APIError:
        return None
    return None


def _unreachable(url: str, why: str) -> TryAgain:
    return TryAgain(
        f"the teacher at {url} cannot be reached: {why}",
        reason="TeacherUnreachable",
        remedy="check data.teacher.baseURL, the network and proxies; then run again",
    )


def _lost(error: "openai.APIError", timeout: float) -> str:
    """Whether the endpoint was silent or not there; the aiohttp transport reports a refused connection as a timeout too."""
    cause = error.__cause__
    if cause is not None and isinstance(cause.__cause__, TimeoutError):
        return f"no answer in {timeout:g} s"
    return f"connection failed: {cause or error}"


def _message(error: "openai.APIStatusError") -> str:
    body = error.body
    text = body.get("message") if isinstance(body, dict) else None
    return str(text or error.response.text or error.message)[:300]


def _filtered(error: "openai.APIStatusError") -> bool:
    return error.status_code == 400 and error.code in ("content_filter", "content_policy_violation")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a refusal's headers (lower case) ask to wait: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    if (milliseconds := headers.get("retry-after-ms")) is not None and milliseconds.isdigit():
        return int(milliseconds) / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        return _until(value, now)


def _until(date: str, now: float) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except ValueError:
        return None


def _limits(headers: "httpx2.Headers") -> Headers:
    found: dict[str, tuple[float, float]] = {}
    for kind in ("requests", "tokens"):
        limit, remaining = (headers.get(f"x-ratelimit-{word}-{kind}", "") for word in ("limit", "remaining"))
        if re.fullmatch(r"\d+", limit):
            found[kind] = (
                float(limit),
                float(remaining) if re.fullmatch(r"\d+", remaining) else float(limit),
            )
    return Headers(found)
