"""Batches of endpoints that speak OpenAI's protocol: OpenAI, Azure, Groq, and others that have taken it over.

A file of calls is handed over (`/files`), a batch made of it (`/batches`), and its answers come in one file,
its errors in another: https://platform.openai.com/docs/guides/batch. What tells who asks, and by which way
(headers, query), goes with every request; what is in a call's body stands in its line.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunesmith.errors import BadRequest, Refused, TunesmithError
from tunesmith.secret_values import without_own_secrets
from tunesmith_jobs.teacher.batches import Batch, Line, Reply, TooLarge, batch_of, replies_of
from tunesmith_jobs.teacher.calls import Answer, Call
from tunesmith_jobs.teacher.endpoint import Absent, Passing, Throttled
from tunesmith_jobs.teacher.openai_chat import OpenAIChat, Said, at_azure, final_error, said_by, told
from tunesmith_jobs.teacher.openai_dialect import Dialect
from tunesmith_jobs.teacher.openai_faults import Fault, fault_of
from tunesmith_jobs.teacher.openai_habits import cut_by_thoughts

if TYPE_CHECKING:
    import httpx2

# Calls and bytes of a file: OpenAI takes 50,000 and 200 MB (https://developers.openai.com/api/reference),
# Together 100 MB.
MOST_LINES, MOST_BYTES = 50_000, 100 * 10**6
MARK = "tunesmith"  # the member of a batch's metadata by which it is found again
_PAGE, _PAGES = 100, 100  # batches of a page of their list, and pages that are read
_CLOCKS = 3600.0  # seconds by which the endpoint's clock and this machine's may differ
_ABSENT = (404, 405, 501)
_WORKED_ON = ("pending", "running", "uploading", "notrunning")  # Azure's words for a file that is not ready


class OpenAIBatches:
    """The batches of an endpoint. They are asked while it is open; `check` is not."""

    most_lines = MOST_LINES
    most_bytes = MOST_BYTES

    def __init__(self, chat: OpenAIChat) -> None:
        self.url = chat.url
        self.batch_only = at_azure(chat.url)
        self._chat = chat
        # Azure's lines have no /v1: https://learn.microsoft.com/azure/ai-services/openai/how-to/batch
        self._path = "/chat/completions" if at_azure(chat.url) else "/v1/chat/completions"

    def line(self, key: str, call: Call) -> Line:
        """The line that asks a call."""
        dialect, body = self._chat.asked(call)
        document = {"custom_id": key, "method": "POST", "url": self._path, "body": body}
        return Line(key, json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"), dialect)

    def answer(self, line: Line, call: Call, reply: Reply) -> Answer:
        """The answer that a line got. Raises what OpenAIChat.send raises."""
        assert isinstance(line.form, Dialect)
        if reply.status == 200:
            return self._chat.read(reply.body, call, line.form, 0.0)
        said = Said(reply.status, reply.code, told(reply.message or reply.body))
        return self._chat.refused(said, call, line.form, 0.0)

    def cut(self, answer: Answer) -> bool:
        """Whether the model's thoughts have cut an answer off."""
        return cut_by_thoughts(answer)

    async def upload(self, data: bytes) -> str:
        """Hand over a file; returns its name."""
        with self._faults("/files"):
            file = await self._chat.client.files.create(
                file=("batch.jsonl", data, "application/jsonl"),
                purpose="batch",
                extra_headers=self._chat.left_out,
            )
        return file.id

    async def ready(self, file: str) -> bool:
        """Whether a batch can be made of a file: Azure's takes a while. Raises BadRequest if it never can."""
        try:
            document = await self._document("GET", f"/files/{file}")
        except Absent:  # not every endpoint shows its files
            return True
        status = str(document.get("status") or "").lower()
        if status in ("error", "failed"):
            raise _refused(self.url, f"the file is refused: {document.get('status_details')}")
        return status not in _WORKED_ON

    async def create(self, file: str, mark: str) -> Batch:
        """Make a batch of a file."""
        body = {
            "input_file_id": file,
            "endpoint": self._path,
            "completion_window": "24h",
            "metadata": {MARK: mark},
        }
        # By this header some (Perplexity's) know a request that they have answered.
        return self._batch(
            await self._document("POST", "/batches", body=body, headers={"Idempotency-Key": mark})
        )

    async def find(self, mark: str, since: float) -> Batch | None:
        """The batch that bears a mark, made at `since` or later. The newest are listed first."""
        query: dict[str, Any] = {"limit": _PAGE}
        for _ in range(_PAGES):
            page = await self._document("GET", "/batches", query=query)
            batches = [each for each in page.get("data") or [] if isinstance(each, dict)]
            for each in batches:
                if (each.get("metadata") or {}).get(MARK) == mark:
                    return self._batch(each)
            made = [each["created_at"] for each in batches if isinstance(each.get("created_at"), int)]
            if not batches or not page.get("has_more") or (made and max(made) < since - _CLOCKS):
                return None
            query["after"] = page.get("last_id") or batches[-1].get("id")
        return None

    async def look(self, batch: str) -> Batch | None:
        """The batch of this name now; None if the endpoint does not have it."""
        try:
            return self._batch(await self._document("GET", f"/batches/{batch}"))
        except Absent:
            return None

    async def cancel(self, batch: str) -> None:
        """Ask it to end. One that has ended already stays as it is, which some call a conflict (409)."""
        with contextlib.suppress(BadRequest, Absent):
            await self._document("POST", f"/batches/{batch}/cancel")

    async def replies(self, batch: Batch) -> dict[str, Reply]:
        """What the lines got. A file may be readable only a little after its batch has ended."""
        found: dict[str, Reply] = {}
        for file in batch.files:
            response = await self._send("GET", f"/files/{file}/content")
            for key, reply in replies_of(response.content):
                if key not in found or reply.status == 200:
                    body, message = (
                        without_own_secrets(text, os.environ) for text in (reply.body, reply.message)
                    )
                    found[key] = replace(reply, body=body, message=message)
        return found

    def check(self) -> list[TunesmithError]:
        """Whether there are batches, and whether this key may make and list them."""
        import httpx2
        import openai

        try:
            client = self._chat.checking()
        except Refused as error:
            return [error]
        with client:
            for path in ("/batches", "/files"):
                try:
                    options: Any = {"params": {"limit": 1}, "headers": self._chat.left_out}
                    client.get(path, cast_to=httpx2.Response, options=options)
                except openai.APIStatusError as error:
                    if error.status_code in _ABSENT:
                        return [self._none_here(path, error.status_code)]
                    if error.status_code in (401, 403):
                        return [self._forbidden(path, said_by(error))]
                except openai.APIError as error:
                    return [self._chat.unreachable(str(error.__cause__ or error))]
        return []

    def _none_here(self, path: str, status: int) -> BadRequest:
        remedy = "leave spec.data.teacher.mode out, or name an endpoint that has them"
        if "/deployments/" in self.url:
            remedy = (
                "Azure has them at its v1 address, https://NAME.openai.azure.com/openai/v1, with a batch "
                "deployment as spec.data.teacher.model"
            )
        return BadRequest(
            f"the teacher at {self.url} has no batches in OpenAI's form: {path} is not there ({status})",
            reason="TeacherHasNoBatches",
            remedy=remedy,
        )

    def _forbidden(self, path: str, said: Said) -> Refused:
        return Refused(
            f"the teacher at {self.url} does not let this key use {path} ({said.status}): {said.message}",
            reason="TeacherKeyRefused",
            remedy="give a key that may write files, and make and list batches; or leave "
            "spec.data.teacher.mode out",
        )

    async def _document(self, method: str, path: str, **options: Mapping[str, Any]) -> dict[str, Any]:
        """The object that an answer is. `options`: those of `_send`."""
        response = await self._send(method, path, **options)
        try:
            document: Any = response.json()
        except ValueError as error:
            raise Passing(f"{path}: not JSON") from error
        if not isinstance(document, dict):
            raise Passing(f"{path}: not an object")
        return document

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "httpx2.Response":
        import httpx2

        client = self._chat.client
        options: Any = {"headers": {**self._chat.left_out, **(headers or {})}}
        if query:
            options["params"] = dict(query)
        with self._faults(path):
            if method == "GET":
                return await client.get(path, cast_to=httpx2.Response, options=options)
            return await client.post(path, cast_to=httpx2.Response, body=body, options=options)

    def _batch(self, document: dict[str, Any]) -> Batch:
        try:
            batch = batch_of(document)
        except ValueError as error:
            raise Passing(str(error)) from error
        errors = tuple(replace(error, message=told(error.message)) for error in batch.errors)
        return replace(batch, errors=errors)

    @contextlib.contextmanager
    def _faults(self, path: str) -> Iterator[None]:
        """What a fault of a request about batches means."""
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            said = said_by(error)
            if said.status == 404:
                raise Absent(f"{path} is not there: {said.message}") from error
            if said.status == 413:
                raise TooLarge(said.message) from error
            fault = fault_of(said.status, said.code, said.message)
            if (
                fault in (Fault.KEY, Fault.QUOTA)
                and (final := final_error(fault, said, self.url, "")) is not None
            ):
                raise final from error
            if said.status == 429 or fault is Fault.RATE:
                raise Throttled(said.message, said.retry_after) from error
            if said.status >= 500 or said.status in (408, 425):
                raise Passing(
                    f"status {said.status}: {said.message}", overload=True, retry_after=said.retry_after
                ) from error
            raise _refused(self.url, f"{path} ({said.status}): {said.message}") from error
        except openai.APIError as error:
            raise Passing(f"connection failed: {error.__cause__ or error}", overload=True) from error


def _refused(url: str, why: str) -> BadRequest:
    return BadRequest(
        f"the teacher at {url} refuses a batch: {why}",
        reason="TeacherBatchFailed",
        remedy="correct data.teacher (model, body) or the task, as it says; what is answered is kept",
    )
