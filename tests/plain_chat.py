"""A second kind of teacher, as small as one can be: plain HTTP, one form, one request at a time in a thread.

It is there for the contract test, to show what a kind of teacher needs.
"""

import asyncio
import json
import os
import time
import urllib.error
import urllib.request

from tunesmith.errors import BadRequest, Refused, TryAgain
from tunesmith.wire import TEACHER_API_KEY
from tunesmith_jobs.teacher import forms
from tunesmith_jobs.teacher.calls import Answer
from tunesmith_jobs.teacher.endpoint import Passing, RateLimits, Throttled
from tunesmith_jobs.teacher.retry_after import retry_after


class PlainChat:
    def __init__(self, teacher, timeout):
        self.url = teacher.base_url
        self._teacher = teacher
        self._timeout = timeout

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass

    def sized(self, call):
        return call

    def remember(self, model, answer):
        pass

    async def send(self, call):
        (role, text), *rest = call.messages
        messages = [(role, text + forms.instruction(call.shape, "tags")), *rest]
        body = {
            "model": call.model,
            "messages": [{"role": role, "content": text} for role, text in messages],
            "max_tokens": call.max_tokens,
        }
        begun = time.monotonic()
        try:
            raw = await asyncio.to_thread(self._request, "/chat/completions", body)
            return self.read_answer(raw, seconds=time.monotonic() - begun), RateLimits({})
        except urllib.error.HTTPError as error:
            raise self._fault(error) from error
        except (OSError, ValueError) as error:
            raise Passing(str(error), overload=isinstance(error, OSError)) from error

    def read_answer(self, raw, *, seconds=0.0, fresh=True):
        try:
            body = json.loads(raw)
            message, usage = body["choices"][0]["message"], body.get("usage", {})
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError("not an answer") from error
        return Answer(
            raw=raw,
            content=message["content"] or "",
            finish_reason=body["choices"][0]["finish_reason"],
            refusal=message["refusal"] or "",
            input_tokens=usage.get("prompt_tokens", 0),
            output_tokens=usage.get("completion_tokens", 0),
            seconds=seconds,
            fresh=fresh,
        )

    def check(self, models):
        try:
            listed = json.loads(self._request("/models"))["data"]
        except urllib.error.HTTPError as error:
            return [self._fault(error)]
        except OSError as error:
            return [TryAgain(f"{self.url} cannot be reached: {error}", reason="TeacherUnreachable")]
        missing = models - {model["id"] for model in listed}
        return [BadRequest(f"no model {model}", reason="TeacherModelNotFound") for model in missing]

    def _request(self, path, body=None):
        key = os.environ.get(TEACHER_API_KEY, "none")
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=self._timeout) as response:
            return response.read().decode()

    def _fault(self, error):
        text = error.read().decode()
        if error.code == 401:
            return Refused("the key is refused", reason="TeacherKeyRefused")
        if "insufficient_quota" in text:
            return Refused("the quota is used up", reason="TeacherQuota")
        if error.code == 404:
            return BadRequest("no such model", reason="TeacherModelNotFound")
        if error.code == 429:
            headers = {name.lower(): value for name, value in error.headers.items()}
            return Throttled(text, retry_after(headers, time.time()))
        return Passing(text, overload=error.code == 503)
