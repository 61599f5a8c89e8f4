"""The API server as the controller uses it: raw JSON over the official client's transport.

A `Call` describes a request; `Api.send` sends it. There is one class of error for each answer that is handled
differently. The client's generated models are not used: they cost six times the CPU and reject fields that
they don't know.
"""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3
from kubernetes import client
from kubernetes import config as kube_config
from kubernetes.config import ConfigException

import tunesmith
from tunesmith_controller.rate import TokenBucket
from tunesmith_controller.rights import RIGHTS, Resource, Verb

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METHODS: Mapping[Verb, str] = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
_ALLOWED = frozenset(right.key for right in RIGHTS)
_TRIES = 5  # of a call that is answered 429 with Retry-After
_COMPARE_SECONDS = 10.0  # between two looks at the API server's clock
_SLACK = timedelta(seconds=5)  # by which two clocks may differ; an answer's date has whole seconds
_PATIENCE = 30.0  # seconds that one Retry-After may ask for; the caller handles a longer one


class Unreachable(Exception):
    """No answer, half of one, or one that cannot be read. Whether a write took place is not known."""


class ApiError(Exception):
    """The API server refused.

    `reason` and `message`: of its Status object, the message cut to 1,000 characters.
    """

    def __init__(self, status: int, reason: str = "", message: str = "", retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}" if message else f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class Forbidden(ApiError):
    """403: a right is missing, a quota is used up, an admission plugin refused, or the namespace is going."""


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: another version, or another uid, than the call was made for."""


class AlreadyExists(ApiError):
    """409 of a create: the name is taken."""


class Gone(ApiError):
    """410: a resourceVersion or a page that the server no longer has."""


class Throttled(ApiError):
    """429, after the waits that it asked for."""


def error_of(status: int, body: bytes, retry_after: str = "") -> ApiError:
    """The error in an answer. Only the text of a Status object is kept: another body could hold anything."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = {}
    known = parsed if isinstance(parsed, dict) and parsed.get("kind") == "Status" else {}
    reason = str(known.get("reason") or "")
    message = str(known.get("message") or "")[:1000]
    details = known.get("details")
    asked = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    seconds = _seconds(retry_after) or _seconds(asked)
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExists(status, reason, message)
    kind = {403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone, 429: Throttled}.get(status, ApiError)
    return kind(status, reason, message, seconds)


def _seconds(value: object) -> float:
    """Seconds that a server asks for; 0 if it is not a whole number of them, such as a date."""
    text = str(value)
    return float(text) if text.isascii() and text.isdigit() else 0.0


@dataclass(frozen=True)
class Call:
    """One request to the API server, not sent yet. `accept`: the form of the answer, JSON without it."""

    verb: Verb
    resource: Resource
    namespace: str = ""
    name: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content_type: str = ""
    accept: str = ""


@dataclass(frozen=True)
class Timeout:
    """Seconds to connect, and seconds between two bytes that are read."""

    connect: float = CONNECT_SECONDS
    read: float = READ_SECONDS


Read = Callable[[bytes], dict[str, Any]]
Observe = Callable[[Verb, str, str], None]  # verb, resource, code of the answer, or "none"


class Api:
    """Sends calls, within the allowed rate. Threads share one."""

    def __init__(
        self,
        transport: client.ApiClient,
        bucket: TokenBucket,
        *,
        observe: Observe = lambda _verb, _resource, _code: None,
        stop: threading.Event | None = None,
    ) -> None:
        self._transport = transport
        self._bucket = bucket
        self._observe = observe
        self._stop = stop or threading.Event()
        self._behind = timedelta()  # how far this machine's clock is behind the API server's
        self._compared = float("-inf")  # when that was seen, by the monotonic clock

    def now(self) -> datetime:
        """The moment, by the API server's clock if this machine's is more than a little off.

        Deadlines count from timestamps that others wrote: a clock that is an hour fast would end every stage.
        """
        return datetime.now(UTC) + self._behind

    def send(
        self, call: Call, timeout: Timeout = Timeout(), *, urgent: bool = False, read: Read = json.loads
    ) -> dict[str, Any]:
        """The JSON that answers a call. Raises ApiError or Unreachable.

        `urgent`: it waits neither for the rate nor after a 429 (the lease). `read`: reads the answer.
        """
        data: bytes = self._patiently(call, timeout, urgent=urgent).data
        try:
            return read(data or b"{}")
        except (ValueError, RecursionError) as error:
            raise Unreachable(f"{call.verb} {call.resource.name}: the answer cannot be read") from error

    def text(self, call: Call, timeout: Timeout = Timeout()) -> str:
        """The text that answers a call: a log."""
        data: bytes = self._patiently(call, timeout, urgent=False).data
        return data.decode("utf-8", "replace")

    def lines(self, call: Call, timeout: Timeout) -> Iterator[bytes]:
        """The whole lines of an answer, as they come; one that is cut off at the end is dropped."""
        response = self._once(call, timeout)
        rest = b""
        try:
            for chunk in response.stream(amt=None, decode_content=True):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from filter(None, whole)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"{call.verb} {call.resource.name}: {type(error).__name__}") from error
        finally:
            response.close()  # a watch that is left in the middle must not go back to the pool
            response.release_conn()

    def _patiently(self, call: Call, timeout: Timeout, *, urgent: bool) -> urllib3.BaseHTTPResponse:
        for left in reversed(range(_TRIES)):
            if not urgent:
                self._stop.wait(self._bucket.reserve())
            try:
                return self._once(call, timeout, read=True)
            except Throttled as error:  # nothing was done: any call may be made again
                is_worth_waiting = not urgent and left > 0 and 0 < error.retry_after <= _PATIENCE
                stopped = is_worth_waiting and self._stop.wait(error.retry_after)
                if stopped or not is_worth_waiting:
                    raise
        raise AssertionError("the last try returns or raises")

    def _once(self, call: Call, timeout: Timeout, *, read: bool = False) -> urllib3.BaseHTTPResponse:
        right = (call.resource.group, call.resource.name, call.verb)
        if right not in _ALLOWED:
            raise AssertionError(f"{right} is not in RIGHTS")
        code = "none"
        try:
            method, url, headers, body, post = self._transport.param_serialize(
                _METHODS[call.verb],
                call.resource.path(call.namespace, call.name),
                query_params=[*call.query.items()],
                header_params=_headers(call),
                body=call.body,
                auth_settings=["BearerToken"],
            )
            response = self._transport.call_api(
                method,
                url,
                header_params=headers,
                body=body,
                post_params=post,
                _request_timeout=(timeout.connect, timeout.read),
            ).response
            code = str(response.status)
            if read or response.status >= 300:
                response.data  # noqa: B018 (reads it, and gives the connection back)
        # ConfigException: the file with the token is empty, for the moment in which it is replaced.
        except (urllib3.exceptions.HTTPError, client.ApiException, ConfigException, OSError) as error:
            raise Unreachable(f"{call.verb} {call.resource.name}: {type(error).__name__}") from error
        finally:
            self._observe(call.verb, call.resource.name, code)
        if response.status >= 300:
            raise error_of(response.status, response.data, response.headers.get("Retry-After", ""))
        assert isinstance(response, urllib3.BaseHTTPResponse)
        self._compare_clocks(response.headers.get("Date", ""))
        return response

    def _compare_clocks(self, date: str) -> None:
        """Looks at the API server's clock, now and then."""
        if time.monotonic() - self._compared < _COMPARE_SECONDS or not date:
            return
        self._compared = time.monotonic()
        with contextlib.suppress(ValueError):
            behind = parsedate_to_datetime(date) - datetime.now(UTC)
            behind = behind if abs(behind) > _SLACK else timedelta()
            if abs(behind - self._behind) > _SLACK:
                text = "this machine's clock is %.0f s behind the API server's, which is used instead"
                log.warning(text, behind.total_seconds())
            self._behind = behind


def _headers(call: Call) -> dict[str, str]:
    headers = {}
    if call.resource.name != "pods/log":  # a log answers 406 to JSON
        headers["Accept"] = call.accept or "application/json"
    if call.content_type or call.body is not None:
        headers["Content-Type"] = call.content_type or "application/json"
    return headers


def connect(kubeconfig: str = "", *, connections: int = 8, context: str = "") -> client.ApiClient:
    """The official client's transport, from inside the cluster or by a kubeconfig.

    Raises kubernetes.config.ConfigException.
    """
    settings = client.Configuration()
    if kubeconfig:
        kube_config.load_kube_config(
            config_file=kubeconfig, context=context or None, client_configuration=settings
        )
    else:
        kube_config.load_incluster_config(client_configuration=settings)
    settings.keep_alive = True  # off by default, and then a half-open watch is never noticed
    settings.retries = False  # urllib3 would repeat calls at once and unseen; the callers know better
    settings.connection_pool_maxsize = connections
    transport = client.ApiClient(settings)
    transport.user_agent = f"tunesmith-controller/{tunesmith.__version__}"
    return transport
