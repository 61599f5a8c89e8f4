"""The endpoint that all are measured against: python stub.py CASE, where CASE is JSON; prints its address.

It answers the three kinds of calls that the stage makes, and anything else with a sentence. What it does
besides is in its case, see `Behaviour`. /stats has what it counted.
"""

import asyncio
import json
import math
import random
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

USAGE = (200, 50)  # tokens of each call, asked and answered
WORDS = [
    a + b + c
    for a in "blmnprst"
    for b in ("an", "er", "il", "os")
    for c in ("da", "ko", "mi", "ru", "te", "va")
]
PLAN = {
    "language": "English",
    "prompts": "short messages",
    "responses": "one sentence",
    "topics": WORDS[:20],
    "axes": [
        {"name": "tone", "values": ["calm", "angry", "formal"]},
        {"name": "who", "values": ["a child", "a judge"]},
    ],
    "difficulties": ["easy", "medium", "hard"],
}


@dataclass(frozen=True)
class Behaviour:
    """What the endpoint does. Times in seconds; shares from 0 to 1.

    `p99` makes latencies log-normal around `latency`. `rate`: requests a second, saved up for one second;
    more get a 429 with `Retry-After: 1`, or without it. `storm`: so long after the first request, all get a
    429. `tokens`: in any minute, more get a 429.
    """

    latency: float = 0.5
    p99: float = 0.0
    rate: float = 0.0
    retry_after: bool = True
    storm: float = 0.0
    errors: float = 0.0
    garbage: float = 0.0
    hung: float = 0.0
    tokens: int = 0
    headers: dict[str, str] = field(default_factory=dict)


class Stub:
    """The endpoint and its counts."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.counts: Counter[str] = Counter()
        self.asked_for: Counter[str] = Counter()
        self.in_flight = 0
        self._random = random.Random(7)
        self._level, self._at = behaviour.rate, 0.0
        self._first = 0.0
        self._minute: deque[float] = deque()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer a call as the case has it."""
        body = await request.json()
        now = time.monotonic()
        self._first = self._first or now
        self.counts["asked"] += 1
        if self._refuses(now):
            self.counts["refused"] += 1
            headers = {"Retry-After": "1"} if self.behaviour.retry_after else {}
            error = {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}
            return web.json_response({"error": error}, status=429, headers=headers)
        self.in_flight += 1
        self.counts["mostInFlight"] = max(self.counts["mostInFlight"], self.in_flight)
        try:
            return await self._answer(body)
        finally:
            self.in_flight -= 1

    async def stats(self, _request: web.Request) -> web.Response:
        """The counts; `repeated`: answered calls that had been answered before."""
        repeated = sum(self.asked_for.values()) - len(self.asked_for)
        return web.json_response({"answered": 0, "refused": 0, **self.counts, "repeated": repeated})

    async def models(self, _request: web.Request) -> web.Response:
        """The list of models."""
        return web.json_response({"object": "list", "data": [{"id": "stub", "object": "model"}]})

    def _refuses(self, now: float) -> bool:
        case = self.behaviour
        if now < self._first + case.storm:
            return True
        if case.rate:
            self._level = min(case.rate, self._level + (now - self._at) * case.rate)
            self._at = now
            if self._level < 1:
                return True
            self._level -= 1
        if case.tokens:
            while self._minute and self._minute[0] <= now - 60:
                self._minute.popleft()
            if (len(self._minute) + 1) * sum(USAGE) > case.tokens:
                return True
            self._minute.append(now)
        return False

    async def _answer(self, body: dict[str, Any]) -> web.StreamResponse:
        case, draw = self.behaviour, self._random
        fault = draw.random()
        seconds = case.latency
        if case.p99:
            seconds *= math.exp(draw.gauss(0, 1) * math.log(case.p99 / case.latency) / 2.326)
        if fault < case.hung:
            self.counts["hung"] += 1
            await asyncio.sleep(3600)
        await asyncio.sleep(seconds)
        if fault < case.errors:
            self.counts["errors"] += 1
            return web.json_response({"error": {"message": "The server had an error"}}, status=500)
        if fault < case.garbage:
            self.counts["garbage"] += 1
            return web.Response(text="<html>502 Bad Gateway</html>", content_type="text/html")
        self.counts["answered"] += 1
        text = json.dumps(body["messages"])
        self.asked_for[text] += 1
        asked, answered = USAGE
        usage = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
        message = {"role": "assistant", "content": content(text, draw)}
        document = {
            "id": f"c{self.counts['answered']}",
            "object": "chat.completion",
            "created": 1,
            "model": body.get("model", "stub"),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": usage,
        }
        return web.json_response(document, headers=case.headers)


def content(messages: str, draw: random.Random) -> str:
    """What is answered."""
    if "topics" in messages and "axes" in messages:
        return json.dumps(PLAN)
    if "system message" in messages and "pairs" not in messages:
        return "Given a message, you will answer it in one sentence."
    words = draw.sample(WORDS, 9)
    if "pairs" not in messages:
        return f"The {words[0]} was before the {' '.join(words[1:])}."
    prompt = f"{' '.join(words[:6]).capitalize()}: which one was first?"
    return json.dumps(
        {"pairs": [{"prompt": prompt, "response": f"The {words[6]} was before the {words[7]}."}]}
    )


async def serve(behaviour: Behaviour) -> None:
    """Serve until stopped; prints the address first."""
    stub = Stub(behaviour)
    app = web.Application(client_max_size=2**24)
    app.add_routes(
        [
            web.post("/v1/chat/completions", stub.chat),
            web.get("/v1/models", stub.models),
            web.get("/stats", stub.stats),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def command(behaviour: Behaviour) -> list[str]:
    """The command that serves it."""
    return [sys.executable, __file__, json.dumps(asdict(behaviour))]


if __name__ == "__main__":
    asyncio.run(serve(Behaviour(**json.loads(sys.argv[1]))))
