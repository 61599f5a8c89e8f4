"""The HTTP server around the scripted answers: chat completions, the models, and counts of what was asked."""

import asyncio
import contextlib
import hmac
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from tunesmith_tryout.scripted_teacher import faults as fault_kinds
from tunesmith_tryout.scripted_teacher.answers import MODEL, answer, completion
from tunesmith_tryout.scripted_teacher.faults import Fault

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """One scripted teacher: its settings, and counts of what it was asked.

    `answered`: what a real teacher bills (`calls` at /stats). `key`: what clients must send, if it is not
    empty.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        faults: Sequence[Fault] = (),
        requests_per_second: float = 0.0,
        key: str = "",
    ) -> None:
        self.latency = latency
        self.faults = list(faults)
        self.requests_per_second = requests_per_second
        self.key = key
        self.asked = 0
        self.answered = 0
        self.tokens = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.asked_for: Counter[str] = Counter()  # the text of all messages of a call
        self._allowance = requests_per_second
        self._at = 0.0

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(client_max_size=16 * 2**20, middlewares=[self._authorized])
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._chat),
                web.get("/v1/models", self._models),
                web.get("/v1/models/{name}", self._model),
                web.get("/stats", self._stats),
                web.get("/healthz", self._healthz),
            ]
        )
        return app

    @web.middleware
    async def _authorized(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses what comes without the key, as OpenAI does."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if (
            self.key
            and request.path.startswith("/v1/")
            and not hmac.compare_digest(given.encode(), self.key.encode())
        ):
            error = {
                "message": "Incorrect API key provided.",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
            return web.json_response({"error": error}, status=401)
        return await handler(request)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        number, self.asked = self.asked, self.asked + 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request, number)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request, number: int) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        if self._over_limit():
            return _as_response(await fault_kinds.commit(Fault("throttle", seconds=1.0), request), body)
        for fault in self.faults:
            if fault.hits(number, asyncio.get_running_loop().time()):
                if self.latency and fault.kind in ("nonsense", "refusal", "error"):
                    await asyncio.sleep(self.latency)
                spoiled = await fault_kinds.commit(fault, request)
                if spoiled != "":
                    self.answered += fault.kind in ("nonsense", "refusal")
                    return _as_response(spoiled, body)
        if body.get("model") != MODEL:
            return web.json_response(
                {"error": {"message": f"the only model here is {MODEL}", "code": "model_not_found"}},
                status=404,
            )
        if self.latency:
            await asyncio.sleep(self.latency)
        self.answered += 1
        self.asked_for[
            "\n".join(f"{message['role']}: {message['content']}" for message in body["messages"])
        ] += 1
        document = completion(body, answer(body))
        self.tokens += document["usage"]["total_tokens"]
        return web.json_response(document)

    def _over_limit(self) -> bool:
        """Whether a request comes sooner than `requests_per_second` allows (a bucket of one second)."""
        if not self.requests_per_second:
            return False
        now = asyncio.get_running_loop().time()
        self._allowance = min(
            self.requests_per_second, self._allowance + (now - self._at) * self.requests_per_second
        )
        self._at = now
        if self._allowance < 1:
            return True
        self._allowance -= 1
        return False

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "object": "list",
                "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "a-script"}],
            }
        )

    async def _model(self, request: web.Request) -> web.Response:
        if request.match_info["name"] != MODEL:
            return web.json_response(
                {"error": {"message": "no such model", "code": "model_not_found"}}, status=404
            )
        return web.json_response({"id": MODEL, "object": "model", "created": 0, "owned_by": "a-script"})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ready\n")

    async def _stats(self, request: web.Request) -> web.Response:
        """The counts.

        `?about=TEXT` has `calls` and `repeated` count only calls with this text in a message.
        """
        about = request.query.get("about", "")
        counts = [count for text, count in self.asked_for.items() if about in text]
        repeated = sum(counts) - len(counts)
        return web.json_response(
            {
                "asked": self.asked,
                "calls": sum(counts) if about else self.answered,
                "tokens": self.tokens,
                "repeated": repeated,
                "mostInFlight": self.most_in_flight,
            }
        )


def _as_response(answered: web.StreamResponse | str, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(completion(body, answered)) if isinstance(answered, str) else answered


@contextlib.asynccontextmanager
async def started(server: Server, host: str = "127.0.0.1", port: int = 0) -> Any:
    """The address (`http://<host>:<port>/v1`) of a server that is running within the block."""
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    try:
        yield f"http://{host}:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def serve(server: Server, host: str, port: int) -> None:
    """Serve until told to stop; prints the address first."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with started(server, host, port) as url:
            print(url, flush=True)
            print(f"scripted teacher (a grammar, no language model); model name: {MODEL}", flush=True)
            await stop.wait()

    asyncio.run(run())
