"""The seam for endpoints that answer many calls in a batch, and how a batch's files are read."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from tunesmith.errors import TunesmithError
from tunesmith_jobs.teacher.calls import Answer, Call

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
# What the lines of a batch say that ended before their turn came. They cost nothing.
_NOT_ASKED = re.compile(r"batch_?(expired|cancell?ed)", re.IGNORECASE)
_OF_THE_CALL = re.compile(r"invalid|context_length|unsupported|filter|quota|not_found", re.IGNORECASE)


class TooLarge(Exception):
    """The endpoint, or what stands before it, takes no file of this size."""


@dataclass(frozen=True)
class BatchError:
    """Why a batch as a whole was refused. `line`: of its file, from 1; 0 if it is none of them."""

    code: str
    message: str
    line: int = 0


@dataclass(frozen=True)
class Batch:
    """A batch, as its endpoint tells of it. `answered`: its calls that are done with, errors among them.

    `files`: names of the files that hold answers and errors.
    """

    id: str
    status: str
    total: int = 0
    answered: int = 0
    errors: tuple[BatchError, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing of it is answered any more."""
        return self.status in ENDED


@dataclass(frozen=True)
class Line:
    """A call in the file of a batch. `form`: how it is asked, which is the endpoint's own business."""

    key: str
    data: bytes
    form: object


@dataclass(frozen=True)
class Reply:
    """What a line of a batch's files says: a status of HTTP, and the body that belongs to it, as JSON."""

    status: int
    body: str
    code: str = ""
    message: str = ""


class BatchEndpoint(Protocol):
    """A teacher that answers batches.

    Everything that asks it raises Passing or Throttled for what may pass, and a TunesmithError for what stays
    as it is. It is asked while the endpoint that it belongs to is open.
    """

    url: str
    """The address, for messages."""
    most_lines: int
    """Limit of a file."""
    most_bytes: int
    """Limit of a file."""
    batch_only: bool
    """Whether there may be models that answer batches, and no other call, as a batch deployment of Azure."""

    def line(self, key: str, call: Call) -> Line:
        """The line that asks a call; its answer is found by the key."""
        ...

    def answer(self, line: Line, call: Call, reply: Reply) -> Answer:
        """The answer that a line got. Raises what Endpoint.send raises."""
        ...

    def cut(self, answer: Answer) -> bool:
        """Whether the model's thoughts have cut an answer off."""
        ...

    async def upload(self, data: bytes) -> str:
        """Hand over a file; returns its name. Raises TooLarge too."""
        ...

    async def ready(self, file: str) -> bool:
        """Whether a batch can be made of a file by now. Raises BadRequest if it never can be."""
        ...

    async def create(self, file: str, mark: str) -> Batch:
        """Make a batch of a file. `mark` tells it from all others."""
        ...

    async def find(self, mark: str, since: float) -> Batch | None:
        """The batch that bears a mark, made at `since` (Unix time) or later; None if there is none."""
        ...

    async def look(self, batch: str) -> Batch | None:
        """The batch of this name now; None if the endpoint does not have it."""
        ...

    async def cancel(self, batch: str) -> None:
        """Ask it to end, with what it has answered."""
        ...

    async def replies(self, batch: Batch) -> dict[str, Reply]:
        """What the lines got, by their keys. A line that was not asked is not among them."""
        ...

    def check(self) -> list[TunesmithError]:
        """What is wrong with batches there, found out without paying for anything."""
        ...


def batch_of(document: Any) -> Batch:
    """A batch as OpenAI's protocol shows it. Raises ValueError for anything else.

    An empty name of a file is none, and statuses are in capitals at times.
    """
    if not isinstance(document, dict) or not isinstance(document.get("id"), str) or not document["id"]:
        raise ValueError(f"not a batch: {str(document)[:120]!r}")
    counts = document.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    done, failed, total = (_number(counts.get(name)) for name in ("completed", "failed", "total"))
    files = (document.get("output_file_id"), document.get("error_file_id"))
    return Batch(
        id=document["id"],
        status=str(document.get("status") or "").lower(),
        total=total,
        answered=min(done + failed, total) if total else done + failed,
        errors=tuple(_errors(document.get("errors"))),
        files=tuple(dict.fromkeys(file for file in files if isinstance(file, str) and file)),
    )


def _errors(errors: Any) -> Iterator[BatchError]:
    data = errors.get("data") if isinstance(errors, dict) else errors
    for each in data if isinstance(data, list) else [data]:
        if isinstance(each, dict):
            message = str(each.get("message") or each)
            yield BatchError(str(each.get("code") or ""), message, _number(each.get("line")))
        elif each:
            yield BatchError("", str(each))


def replies_of(data: bytes) -> Iterator[tuple[str, Reply]]:
    """The replies in a file of answers or errors, in whatever order. A torn or foreign line is left out."""
    for line in data.split(b"\n"):
        try:
            document = json.loads(line)
            key = document["custom_id"]
            reply = _reply(document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if isinstance(key, str) and reply is not None:
            yield key, reply


def _reply(document: dict[str, Any]) -> Reply | None:
    response, error = document.get("response"), document.get("error")
    if isinstance(response, dict) and response.get("body") is not None:
        body = response["body"]
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        inner = body.get("error") if isinstance(body, dict) else None
        code, message = _said(inner or error)
        status = _number(response.get("status_code")) or (500 if inner or error else 200)
        return None if _NOT_ASKED.search(code) else Reply(status, text, code, message)
    code, message = _said(error)
    if not message or _NOT_ASKED.search(code):
        return None
    return Reply(_status(code, message), "", code, message)


def _said(error: Any) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", str(error or "")
    return str(error.get("code") or error.get("type") or ""), str(error.get("message") or error)


def _status(code: str, message: str) -> int:
    """The status that fits an error without one."""
    if code.isdigit() and 400 <= int(code) < 600:
        return int(code)
    if re.search(r"rate.?limit", f"{code} {message}", re.IGNORECASE):
        return 429
    return 400 if _OF_THE_CALL.search(code) else 500


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0
