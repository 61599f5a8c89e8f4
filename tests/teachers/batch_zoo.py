"""A server that answers batches as OpenAI's documentation says, and with the habits that users report.

Time is short: a batch moves on with each look at it. What it bills is counted by the line, so a test sees a
line that is paid for twice.
"""

import asyncio
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from teachers.zoo import Provider, Refused, refused

from tunesmith_tryout.scripted_teacher import answers


@dataclass
class Habits:
    """What a server of batches does otherwise. Each is of the first batches or requests, and then ends.

    `looks`: at a batch until it has ended.
    """

    looks: int = 2
    shuffled: bool = False
    missing: int = 0  # lines of the first batch that stand in no file
    errors: tuple[tuple[int, str, str], ...] = ()  # of the first batch: status, code, message, a line each
    expired: float = 0.0  # share of the first batch that is not asked in time
    refused: tuple[dict[str, Any], ...] = ()  # the errors by which each batch fails
    too_much: int = 0  # a batch of more lines fails
    away: int = 0  # looks that are answered 503
    late: int = 0  # reads of a file that are answered 404
    lost: str = ""  # the answer to the first POST of a batch: "before" it is made, or "after"
    page: int = 100  # batches of a page of their list
    others: int = 0  # batches of other people, which are newer
    capitals: bool = False  # statuses, and empty strings for files that are not there
    slow_files: int = 0  # looks at a file until it is processed
    never: bool = False  # ends


@dataclass
class Made:
    """A batch."""

    document: dict[str, Any]
    lines: list[dict[str, Any]]
    looks: int = 0


class BatchProvider(Provider):
    """OpenAI's chat models, live and in batches.

    https://platform.openai.com/docs/guides/batch, https://platform.openai.com/docs/api-reference/batch
    """

    def __init__(self, habits: Habits | None = None) -> None:
        super().__init__()
        self.habits = habits or Habits()
        self.batches: dict[str, Made] = {}  # in the order in which they were made
        self.files: dict[str, bytes] = {}
        self.uploads = 0
        self.paid: Counter[str] = Counter()  # answers in batches, by what was asked
        self.cancelled = 0
        self.seen: Counter[str] = Counter()
        self.hold = ""  # a step before which requests hang: upload, ready, create, created, look, read
        self.holding = threading.Event()

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_post(f"{self.path}/files", self._upload)
        app.router.add_get(f"{self.path}/files", self._files)
        app.router.add_get(f"{self.path}/files/{{id}}", self._file)
        app.router.add_get(f"{self.path}/files/{{id}}/content", self._content)
        app.router.add_post(f"{self.path}/batches", self._create)
        app.router.add_get(f"{self.path}/batches", self._list_batches)
        app.router.add_get(f"{self.path}/batches/{{id}}", self._look)
        app.router.add_post(f"{self.path}/batches/{{id}}/cancel", self._cancel)
        return app

    async def _step(self, name: str) -> None:
        self.seen[name] += 1
        while self.hold == name:
            self.holding.set()
            await asyncio.sleep(0.02)

    async def _upload(self, request: web.Request) -> web.Response:
        await self._step("upload")
        form = await request.post()
        assert form["purpose"] == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = form["file"].file.read()
        self.uploads += 1
        status = "pending" if self.habits.slow_files else "processed"
        return web.json_response({"id": name, "object": "file", "purpose": "batch", "status": status})

    async def _files(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [], "has_more": False})

    async def _file(self, request: web.Request) -> web.Response:
        await self._step("ready")
        self.habits.slow_files -= 1
        status = "pending" if self.habits.slow_files > 0 else "processed"
        return web.json_response({"id": request.match_info["id"], "object": "file", "status": status})

    async def _content(self, request: web.Request) -> web.Response:
        await self._step("read")
        name = request.match_info["id"]
        if self.habits.late > 0:
            self.habits.late -= 1
            return _error(404, "No such File object")
        if name not in self.files:
            return _error(404, "No such File object")
        return web.Response(body=self.files[name])

    async def _create(self, request: web.Request) -> web.Response:
        await self._step("create")
        body = await request.json()
        lost, self.habits.lost = self.habits.lost, ""
        if lost == "before":
            return _error(502, "upstream")
        made = self._make(body)
        await self._step("created")
        return _error(502, "upstream") if lost == "after" else web.json_response(self._shown(made))

    def _make(self, body: dict[str, Any]) -> Made:
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        assert all(line["url"] == body["endpoint"] for line in lines), "url_mismatch"
        assert len({line["custom_id"] for line in lines}) == len(lines), "duplicate_custom_id"
        name = f"batch_{len(self.batches)}"
        now = int(asyncio.get_running_loop().time())
        document = {
            "id": name,
            "object": "batch",
            "status": "validating",
            "metadata": body.get("metadata"),
            "created_at": None if self.habits.others else now + 2_000_000_000,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "output_file_id": "" if self.habits.capitals else None,
            "error_file_id": "" if self.habits.capitals else None,
            "errors": None,
        }
        self.batches[name] = made = Made(document, lines)
        return made

    async def _list_batches(self, request: web.Request) -> web.Response:
        await self._step("list")
        others = [{"id": f"other-{number}", "metadata": None} for number in range(self.habits.others)]
        everything = others + [self._shown(made) for made in reversed(self.batches.values())]
        after = request.query.get("after")
        names = [document["id"] for document in everything]
        begin = names.index(after) + 1 if after else 0
        page = everything[begin : begin + min(self.habits.page, int(request.query.get("limit", 20)))]
        more = begin + len(page) < len(everything)
        return web.json_response({"object": "list", "data": page, "has_more": more})

    async def _look(self, request: web.Request) -> web.Response:
        await self._step("look")
        if self.habits.away > 0:
            self.habits.away -= 1
            return _error(503, "overloaded")
        made = self.batches.get(request.match_info["id"])
        if made is None:
            return _error(404, "No batch found")
        made.looks += 1
        self._move(made)
        return web.json_response(self._shown(made))

    async def _cancel(self, request: web.Request) -> web.Response:
        made = self.batches[request.match_info["id"]]
        if made.document["status"] not in ("validating", "in_progress"):
            return _error(409, f"Cannot cancel a batch with status '{made.document['status']}'.")
        self.cancelled += 1
        self.finish(made, "cancelled", len(made.lines) // 2)
        return web.json_response(self._shown(made))

    def _shown(self, made: Made) -> dict[str, Any]:
        document = dict(made.document)
        if self.habits.capitals:
            document["status"] = document["status"].upper()
        return document

    def _move(self, made: Made) -> None:
        """Bring a batch as far as it is after so many looks."""
        document, total = made.document, len(made.lines)
        if document["status"] not in ("validating", "in_progress"):
            return
        first = next(iter(self.batches.values())) is made
        if self.habits.refused or (self.habits.too_much and total > self.habits.too_much):
            document["status"] = "failed"
            enqueued = {
                "code": "token_limit_exceeded",
                "message": "Enqueued token limit reached for gpt-4.1-mini",
            }
            document["errors"] = {"data": list(self.habits.refused or [enqueued])}
        elif made.looks < self.habits.looks or self.habits.never:
            document["status"] = "in_progress"
            document["request_counts"] = {"total": total, "completed": min(made.looks, total), "failed": 0}
        elif first and self.habits.expired:
            self.finish(made, "expired", total - int(self.habits.expired * total))
        else:
            self.finish(made, "completed", total)

    def finish(self, made: Made, status: str, asked: int) -> None:
        """End a batch after so many of its lines were asked."""
        first = next(iter(self.batches.values())) is made
        errors = list(self.habits.errors) if first else []
        missing = self.habits.missing if first else 0
        output, failures = [], []
        for number, line in enumerate(made.lines):
            about = {"id": f"batch_req_{number}", "custom_id": line["custom_id"]}
            if number >= asked:
                error = {
                    "code": f"batch_{status}",
                    "message": f"This request could not be executed: {status}",
                }
                failures.append({**about, "response": None, "error": error})
            elif errors:
                code, kind, message = errors.pop(0)
                body = {"error": {"code": kind, "message": message}}
                failures.append({**about, "response": {"status_code": code, "body": body}, "error": None})
            elif missing:
                missing -= 1
            else:
                found = self._answered(line["body"])
                reply = {**about, "response": found, "error": None}
                (output if found["status_code"] == 200 else failures).append(reply)
        if self.habits.shuffled:
            random.Random(1).shuffle(output)
        for member, found in (("output_file_id", output), ("error_file_id", failures)):
            if found:
                name = made.document[member] = f"{member}-{len(self.files)}"
                self.files[name] = b"\n".join(json.dumps(each).encode() for each in found) + b"\n"
        made.document["status"] = status
        counts = {"total": len(made.lines), "completed": len(output), "failed": len(failures)}
        made.document["request_counts"] = counts

    def _answered(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            self.check(None, body)
            completion = self.answer(body, answers.answer(body))
        except Refused as error:
            return {"status_code": error.status, "body": error.body}
        self.paid[json.dumps(body["messages"])] += 1
        return {"status_code": 200, "request_id": "x", "body": completion}


class NoBatches(Provider):
    """vLLM, Ollama and most others: chat, and neither files nor batches.

    https://github.com/BerriAI/litellm-docs/pull/1567
    """


class NoFiles(BatchProvider):
    """Gemini's compatible endpoint: batches, and no files by this protocol.

    https://ai.google.dev/gemini-api/docs/openai
    """

    async def _files(self, request: web.Request) -> web.Response:
        return _error(404, "")


class AtAzure(BatchProvider):
    """A batch deployment of Azure beside an ordinary one: it answers no call.

    https://learn.microsoft.com/azure/ai-services/openai/how-to/batch
    """

    deployment = "our-batch"

    def check(self, request: web.Request | None, body: dict[str, Any]) -> None:
        live = request is not None
        if live == (body["model"] == self.deployment):
            raise refused(400, "The chatCompletion operation does not work with the specified model", "400")


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "code": None}}, status=status)
