"""Faults that tests order from the scripted teacher; the served answers know nothing of them."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Literal, get_args

from aiohttp import web

Kind = Literal[
    "throttle",
    "overload",
    "error",
    "cut",
    "garbage",
    "nonsense",
    "refusal",
    "hang",
    "refuse",
    "quota",
    "missing",
    "nojson",
]


@dataclass
class Fault:
    """A fault for every `every`-th request from number `after` on, at most `count` times (0: without end),
    and for `lasting` seconds since the first of them (0: without end).

    `seconds`: what Retry-After says (below 0: nothing), or how long `hang` hangs.
    """

    kind: Kind
    after: int = 0
    count: int = 0
    every: int = 1
    seconds: float = 1.0
    lasting: float = 0.0
    done: int = field(default=0, init=False)
    began: float = field(default=0.0, init=False)

    def hits(self, number: int, now: float) -> bool:
        """Whether request `number` (from 0) gets it at a time in seconds; counts it then."""
        hit = (
            number >= self.after
            and (number - self.after) % self.every == 0
            and (not self.count or self.done < self.count)
            and (not self.lasting or not self.done or now < self.began + self.lasting)
        )
        if hit and not self.done:
            self.began = now
        self.done += hit
        return hit


def read_faults(text: str) -> Fault:
    """A fault as the command line says it: `throttle,after=5,count=20,seconds=0.5`. Raises ValueError."""
    kind, *settings = text.split(",")
    if kind not in get_args(Kind):
        raise ValueError(f"no such fault: {kind!r}; there are {', '.join(get_args(Kind))}")
    fault = Fault(kind)  # type: ignore[arg-type] # checked above
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in ("after", "count", "every", "seconds", "lasting"):
            raise ValueError(f"no such setting of a fault: {name!r}")
        setattr(fault, name, float(value) if name in ("seconds", "lasting") else int(value))
    return fault


# kind -> status, and what the body's error says
_ERRORS = {
    "throttle": (429, {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}),
    "overload": (503, {"message": "The server is overloaded", "type": "server_error", "code": None}),
    "error": (500, {"message": "The server had an error", "type": "server_error", "code": None}),
    "refuse": (
        401,
        {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"},
    ),
    "quota": (
        429,
        {
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        },
    ),
    "missing": (
        404,
        {"message": "The model does not exist", "type": "invalid_request_error", "code": "model_not_found"},
    ),
}


async def commit(fault: Fault, request: web.Request) -> web.StreamResponse | str:
    """Answer a request with a fault; a str is the content of an otherwise good answer."""
    if fault.kind == "nonsense":
        return "Sure! Here is what you asked for: nothing of the kind."
    if fault.kind == "garbage":
        return web.Response(text="<html>502 Bad Gateway</html>", content_type="text/html")
    if fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
        return web.Response(status=504)
    if fault.kind == "cut":
        assert request.transport is not None
        request.transport.close()
        return web.Response()
    if fault.kind == "nojson":
        body = await request.json()
        if "response_format" not in body:
            return ""
        return _error(
            400,
            {
                "message": "response_format is not supported",
                "type": "invalid_request_error",
                "param": "response_format",
            },
        )
    if fault.kind == "refusal":
        return web.json_response(
            {
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": None, "refusal": "I cannot."},
                    }
                ]
            }
        )
    status, error = _ERRORS[fault.kind]
    response = _error(status, error)
    if status == 429 and fault.seconds >= 0:
        response.headers["Retry-After"] = f"{fault.seconds:g}"
    return response


def _error(status: int, error: object) -> web.Response:
    return web.Response(status=status, text=json.dumps({"error": error}), content_type="application/json")
