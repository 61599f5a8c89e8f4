"""Small servers that behave as providers of OpenAI's chat protocol are documented or reported to.

None of them is a language model, and nothing is copied from the providers: the answers are the scripted
teacher's, the habits are written down from the sources that each class names. `Provider` is the protocol as
OpenAI's own chat models speak it; a subclass has what its provider does otherwise.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any, ClassVar

from aiohttp import web
from scripted import in_a_thread

from tunesmith_tryout.scripted_teacher import answers

THOUGHT = 'I could write {"pairs": [{"prompt": "a draft", "response": "a draft"}]}. No, {better} than that.'
LATENCY = 0.02


class Refused(Exception):
    """An error that the provider answers with."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = body
        self.headers = headers


def refused(status: int, message: str, code: str | None = None, **headers: str) -> Refused:
    """An error in OpenAI's form."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Refused(status, {"error": error}, **headers)


class Provider:
    """OpenAI's chat models.

    https://platform.openai.com/docs/api-reference/chat
    """

    path: ClassVar[str] = "/v1"
    model: ClassVar[str] = "gpt-4.1-mini"
    listed: ClassVar[tuple[str, ...]] = ("gpt-4.1-mini", "gpt-4o")
    faults: ClassVar[int] = 0  # that it makes, and that pass
    largest: ClassVar[int] = 2**28  # body in bytes
    teacher: ClassVar[dict[str, Any]] = {}  # what a request has to say beside the model
    secrets: ClassVar[dict[str, str]] = {}  # and the stage's variables for it
    members: ClassVar[frozenset[str]] = frozenset(
        ("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "response_format")
    )

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0  # all that were sent
        self.billed = 0  # answers
        self.tokens = 0  # that were billed

    # What a subclass may have otherwise

    def check(self, request: web.Request | None, body: dict[str, Any]) -> None:
        """Raises Refused for what the provider does not take. Without a request it is a line of a batch."""
        if unknown := set(body) - self.members:
            raise refused(400, f"Unrecognized request argument supplied: {', '.join(sorted(unknown))}")
        if body["model"] != self.model:
            raise refused(404, f"The model `{body['model']}` does not exist", "model_not_found")

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        """The completion that holds the text."""
        return answers.completion(body, text)

    def models(self, request: web.Request) -> Any:
        """The list of models. Raises Refused."""
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in self.listed]}

    def one_model(self, name: str) -> Any:
        """One of them. Raises Refused."""
        if name not in self.listed:
            raise refused(404, f"The model '{name}' does not exist", "model_not_found")
        return {"id": name, "object": "model"}

    # The server

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(client_max_size=self.largest)
        app.router.add_post(f"{self.path}/chat/completions", self._chat)
        app.router.add_get(f"{self.path}/models", self._list)
        app.router.add_get(f"{self.path}/models/{{name:.+}}", self._one)
        return app

    async def _chat(self, request: web.Request) -> web.Response:
        self.calls += 1
        body = await request.json()
        await asyncio.sleep(LATENCY)
        try:
            self.check(request, body)
            completion = self.answer(body, answers.answer(body))
        except Refused as error:
            return web.json_response(error.body, status=error.status, headers=error.headers)
        self.billed += "error" not in completion
        usage = completion.get("usage") or {}
        self.tokens += max(usage.get("total_tokens", 0), usage.get("prompt_tokens", 0))
        return web.json_response(completion)

    async def _list(self, request: web.Request) -> web.Response:
        return self._told(lambda: self.models(request))

    async def _one(self, request: web.Request) -> web.Response:
        return self._told(lambda: self.one_model(request.match_info["name"]))

    def _told(self, say: Any) -> web.Response:
        try:
            return web.json_response(say())
        except Refused as error:
            return web.json_response(error.body, status=error.status, headers=error.headers)


def asked_tokens(body: dict[str, Any]) -> int:
    """Tokens of the messages, as the scripted teacher counts them."""
    return sum(len(str(message["content"])) for message in body["messages"]) // 4


def allowed(body: dict[str, Any]) -> int:
    """The most tokens that the answer may have."""
    return body.get("max_completion_tokens") or body.get("max_tokens") or 10**6


def with_thoughts(completion: dict[str, Any], body: dict[str, Any], thoughts: int) -> dict[str, Any]:
    """The completion after so many tokens of thoughts, which count as output, cut off where the limit is."""
    choice, usage = completion["choices"][0], completion["usage"]
    written = usage["completion_tokens"] + thoughts
    if written > allowed(body):
        choice["finish_reason"], choice["message"]["content"] = "length", ""
        written = allowed(body)
    usage |= {"completion_tokens": written, "total_tokens": usage["prompt_tokens"] + written}
    usage["completion_tokens_details"] = {"reasoning_tokens": min(thoughts, written)}
    return completion


class OpenAIReasoning(Provider):
    """GPT-5 and the o-series: thoughts are output, no temperature, the other name of the limit.

    https://platform.openai.com/docs/guides/reasoning, https://github.com/covan-ai/covan/pull/112,
    https://github.com/ra-jeev/write-assist-ai/issues/30
    """

    model = "gpt-5-mini"
    listed = ("gpt-5-mini",)

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        super().check(request, body)
        if "max_tokens" in body:
            message = (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead."
            )
            raise refused(400, message, "unsupported_parameter")
        if body.get("temperature", 1) != 1:
            message = (
                "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1)"
            )
            raise refused(400, message, "unsupported_value")

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        return with_thoughts(super().answer(body, text), body, 1400)


class Deployment(OpenAIReasoning):
    """A deployment in Azure (v1) of a reasoning model: its name tells nothing, and the list has other names.

    https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
    """

    path = "/openai/v1"
    model = "our-writer"
    listed = ("gpt-5-mini-2025-08-07",)

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        if body["model"] != self.model:
            raise refused(404, "The API deployment for this resource does not exist.", "DeploymentNotFound")
        super().check(request, body)
        if "refund" in json.dumps(body["messages"][1:]) and "Example number 3:" in json.dumps(
            body["messages"]
        ):
            message = (
                "The response was filtered due to the prompt triggering Azure OpenAI's content management"
            )
            raise refused(400, message, "content_filter")


class AzureClassic(Provider):
    """A deployment in Azure by its classic address: a key in a header of its own, a version in the query.

    The model in the body counts for nothing. https://learn.microsoft.com/azure/ai-services/openai/reference,
    https://github.com/MicrosoftDocs/azure-docs/issues/114602, https://github.com/BerriAI/litellm/issues/8572
    """

    path = "/openai/deployments/our-4o"
    model = "gpt-4o"
    key = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    teacher: ClassVar[dict[str, Any]] = {
        "query": {"api-version": "2024-10-21"},
        "secretHeaders": {"api-key": {"name": "azure"}},
    }
    secrets: ClassVar[dict[str, str]] = {"TUNESMITH_SECRET_TEACHER_HEADER_API_KEY": key}

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        self.enter(request)
        if unknown := set(body) - self.members:
            raise refused(400, f"Unrecognized request argument supplied: {', '.join(sorted(unknown))}")

    def enter(self, request: web.Request) -> None:
        """Raises Refused for a request without key or version."""
        if request.headers.get("api-key") != self.key:
            message = "Access denied due to invalid subscription key or wrong API endpoint."
            raise Refused(401, {"error": {"code": "401", "message": message}})
        if not request.query.get("api-version"):
            raise Refused(404, {"error": {"code": "404", "message": "Resource not found"}})

    def models(self, request: web.Request) -> Any:
        self.enter(request)
        raise Refused(404, {"error": {"code": "404", "message": "Resource not found"}})


class Anthropic(Provider):
    """Anthropic's compatible endpoint: `response_format` is taken and ignored; models are not listed.

    https://docs.claude.com/en/api/openai-sdk
    """

    model = "claude-sonnet-4-5"
    listed = ()

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        if body.get("temperature", 0) > 1 or "max_tokens" not in body:
            raise Refused(400, self._error("invalid_request_error", "max_tokens: Field required"))
        if body["max_tokens"] > 8192:
            most = "8192, which is the maximum allowed number of output tokens"
            raise Refused(
                400, self._error("invalid_request_error", f"max_tokens: {body['max_tokens']} > {most}")
            )

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        whole = json.dumps(body["messages"])
        if body.get("response_format") and "JSON" not in whole:
            text = "Here is a pair. " + text.replace("{", "").replace("}", "")
        elif text.startswith("{"):
            text = f"Here you are:\n\n```json\n{text}\n```"
        completion = super().answer(body, text)
        completion["choices"][0]["message"].pop("refusal")
        return completion

    def models(self, request: web.Request) -> Any:
        raise Refused(
            401 if not request.headers.get("Authorization") else 403, self._error("permission_error", "x")
        )

    def _error(self, kind: str, message: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": kind, "message": message}}


class Gemini(Provider):
    """Gemini's compatible endpoint: thoughts count in the total only; errors are a list, and tell the delay.

    https://ai.google.dev/gemini-api/docs/openai, https://github.com/google-gemini/gemini-cli/issues/6454
    """

    path = "/v1beta/openai"
    model = "gemini-2.5-flash"
    faults = 2
    listed = ("models/gemini-2.5-flash", "models/gemini-2.5-pro")

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        if self.calls == 12:
            raise Refused(
                503,
                [{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}],
            )
        if self.calls == 14:
            delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.2s"}
            error = {
                "code": 429,
                "message": "Resource exhausted.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [delay],
            }
            raise Refused(429, [{"error": error}])

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        completion = with_thoughts(super().answer(body, text), body, 700)
        usage = completion["usage"]
        usage["completion_tokens"] = max(0, usage["completion_tokens"] - 700)
        usage.pop("completion_tokens_details")
        return completion


class Magistral(Provider):
    """Mistral's reasoning models: content is a list of parts; what is not known is a 422 of its own form.

    https://docs.mistral.ai/capabilities/reasoning, https://github.com/microsoft/agent-framework/issues/6978
    """

    model = "magistral-medium-latest"
    listed = ("magistral-medium-latest",)

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        if "max_completion_tokens" in body:
            where = ["body", "max_completion_tokens"]
            detail = [{"type": "extra_forbidden", "loc": where, "msg": "Extra inputs are not permitted"}]
            raise Refused(422, {"detail": detail})

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        completion = super().answer(body, text)
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}
        completion["choices"][0]["message"]["content"] = [thinking, {"type": "text", "text": text}]
        return completion


class DeepSeek(Provider):
    """DeepSeek's reasoner: thoughts in a member of their own, no JSON schema, a range for the limit.

    https://api-docs.deepseek.com/guides/reasoning_model, https://github.com/llm-exe/llm-exe/issues/662
    """

    model = "deepseek-reasoner"
    listed = ("deepseek-chat", "deepseek-reasoner")

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        if (body.get("response_format") or {}).get("type") == "json_schema":
            raise refused(400, "This response_format type is unavailable now", "invalid_request_error")
        if allowed(body) > 8192 and "max_tokens" in body:
            raise refused(400, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]")
        if body.get("response_format") and "json" not in json.dumps(body["messages"]).lower():
            raise refused(400, "Prompt must contain the word 'json' in some form to use 'response_format'")

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        completion = with_thoughts(super().answer(body, text), body, 600)
        completion["choices"][0]["message"]["reasoning_content"] = THOUGHT
        return completion


class Groq(Provider):
    """Groq: the schema is not for each model, JSON that does not hold is refused, 429 says how long to wait.

    https://console.groq.com/docs/structured-outputs, https://console.groq.com/docs/rate-limits
    """

    model = "llama-3.3-70b-versatile"
    faults = 1
    listed = ("llama-3.3-70b-versatile",)

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        super().check(request, body)
        if (body.get("response_format") or {}).get("type") == "json_schema":
            raise refused(400, "This model does not support response format `json_schema`.", None)
        if "Example number 7:" in json.dumps(body["messages"]):
            error = {
                "message": "Failed to generate JSON. Please adjust your prompt.",
                "code": "json_validate_failed",
            }
            raise Refused(400, {"error": error | {"failed_generation": "Of course! {"}})
        if self.calls == 15:
            message = "Rate limit reached for model. Please try again in 240ms."
            raise refused(429, message, "rate_limit_exceeded")


class Together(Provider):
    """Together: the list of models is a bare list, and there is no usage.

    https://docs.together.ai/reference/models-1
    """

    model = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
    listed = ("meta-llama/Llama-3.3-70B-Instruct-Turbo",)

    def models(self, request: web.Request) -> Any:
        return [{"id": name, "object": "model"} for name in self.listed]

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        completion = super().answer(body, text)
        self.tokens += completion.pop("usage")["total_tokens"]
        return completion


class OpenRouter(Provider):
    """OpenRouter: variants are not listed, and what a provider behind it says comes under status 200.

    https://openrouter.ai/docs/api-reference/errors, https://github.com/BerriAI/litellm/pull/21755,
    https://github.com/SWE-agent/mini-swe-agent/pull/902
    """

    path = "/api/v1"
    model = "deepseek/deepseek-r1:free"
    faults = 1
    listed = ("deepseek/deepseek-r1",)

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        if self.calls == 10:
            return {"error": {"message": "Provider returned error", "code": 502}, "user_id": "u"}
        if "Example number 5:" in json.dumps(body["messages"]):
            return {
                "error": {"message": "This content was flagged for possible cybersecurity risk", "code": 502}
            }
        completion = super().answer(body, text)
        completion["choices"][0]["message"]["reasoning"] = THOUGHT
        return completion


class VLLM(Provider):
    """vLLM without a reader of thoughts, with a small context: only the mark at the end is in the text.

    https://github.com/vllm-project/vllm/issues/42474, https://docs.vllm.ai/en/latest/features/reasoning_outputs.html
    """

    model = "Qwen/Qwen3-8B"
    listed = ("Qwen/Qwen3-8B",)
    context = 4096

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        super().check(request, body)
        asked = asked_tokens(body)
        if asked + allowed(body) > self.context:
            message = (
                f"This model's maximum context length is {self.context} tokens. However, you requested "
                f"{allowed(body)} output tokens and your prompt contains at least {asked} input tokens, for "
                f"a total of at least {asked + allowed(body)} tokens."
            )
            raise refused(400, message, None)

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        return super().answer(body, f"{THOUGHT}\n</think>\n\n{text}")


class VLLMByTemplate(VLLM):
    """vLLM with a model that thinks for long, unless its template is told not to.

    https://qwen.readthedocs.io/en/latest/deployment/vllm.html, https://github.com/vllm-project/vllm/issues/30477
    """

    members = VLLM.members | {"chat_template_kwargs", "top_k"}
    teacher: ClassVar[dict[str, Any]] = {
        "body": {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 20}
    }

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        if (body.get("chat_template_kwargs") or {}).get("enable_thinking") is False and body["top_k"] == 20:
            return Provider.answer(self, body, text)
        return with_thoughts(super().answer(body, text), body, 9000)


class Ollama(Provider):
    """Ollama: thoughts in the text, with both marks; a name without its tag is an alias that is not listed.

    https://github.com/ollama/ollama/blob/main/docs/openai.md, https://github.com/ollama/ollama/issues/8528
    """

    model = "deepseek-r1"
    listed = ("deepseek-r1:latest",)

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        return super().answer(body, f"<think>\n{THOUGHT}\n</think>\n\n{text}")

    def one_model(self, name: str) -> Any:
        return super().one_model(name if ":" in name else f"{name}:latest")


class LlamaCpp(Provider):
    """llama.cpp: it loads for a while, and a template without a system role is a 500.

    https://github.com/ggml-org/llama.cpp/tree/master/tools/server, https://github.com/Mangi-11/Eta/issues/59
    """

    model = "gemma-2-9b-it"
    faults = 2
    listed = ("gemma-2-9b-it.gguf",)

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        if self.calls <= 2:
            raise Refused(
                503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
            )
        if any(message["role"] == "system" for message in body["messages"]):
            error = {
                "code": 500,
                "message": "Jinja Exception: System role not supported",
                "type": "server_error",
            }
            raise Refused(500, {"error": error})

    def one_model(self, name: str) -> Any:
        raise Refused(404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}})


class LiteLLM(Provider):
    """A LiteLLM proxy: errors of what is behind it, in its words; models by aliases; no list for this key.

    https://docs.litellm.ai/docs/exception_mapping, https://docs.litellm.ai/docs/proxy/virtual_keys
    """

    path = ""
    model = "team-writer"
    faults = 1
    listed = ()

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        if body.get("temperature", 1) != 1:
            message = (
                "litellm.UnsupportedParamsError: gpt-5 models (including gpt-5-codex) don't support "
                "temperature=0.7. Only temperature=1 is supported."
            )
            raise Refused(
                400, {"error": {"message": message, "type": "None", "param": "None", "code": "400"}}
            )
        if self.calls == 16:
            message = "litellm.ServiceUnavailableError: upstream connect error"
            raise Refused(503, {"error": {"message": message, "type": None, "param": None, "code": "503"}})

    def models(self, request: web.Request) -> Any:
        raise Refused(403, {"error": {"message": "key not allowed to access this route", "code": "403"}})


class Gateway(LiteLLM):
    """A company's LiteLLM proxy that wants to know who pays, and takes no key but in a header of its own.

    https://docs.litellm.ai/docs/proxy/cost_tracking, https://docs.litellm.ai/docs/proxy/request_headers
    """

    key = "Bearer tk-0011223344556677"
    teacher: ClassVar[dict[str, Any]] = {
        "headers": {"X-Team": "research"},
        "secretHeaders": {"x-litellm-api-key": {"name": "gateway"}},
        "body": {"metadata": {"tags": ["dataset"]}},
    }
    secrets: ClassVar[dict[str, str]] = {"TUNESMITH_SECRET_TEACHER_HEADER_X_LITELLM_API_KEY": key}

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        if request.headers.get("x-litellm-api-key") != self.key or "Authorization" in request.headers:
            raise Refused(401, {"error": {"message": "Authentication Error, No api key passed in."}})
        if request.headers.get("X-Team") != "research" or body["metadata"] != {"tags": ["dataset"]}:
            raise Refused(400, {"error": {"message": "X-Team: this gateway serves teams only"}})
        super().check(request, body)


PROVIDERS: dict[str, type[Provider]] = {
    "openai": Provider,
    "openai-reasoning": OpenAIReasoning,
    "azure-v1": Deployment,
    "azure-classic": AzureClassic,
    "anthropic": Anthropic,
    "gemini": Gemini,
    "mistral": Magistral,
    "deepseek": DeepSeek,
    "groq": Groq,
    "together": Together,
    "openrouter": OpenRouter,
    "vllm": VLLM,
    "vllm-by-template": VLLMByTemplate,
    "ollama": Ollama,
    "llama.cpp": LlamaCpp,
    "litellm": LiteLLM,
    "gateway": Gateway,
}


@contextlib.contextmanager
def serving(provider: Provider) -> Iterator[Provider]:
    """The provider behind an address of this machine."""
    with in_a_thread(provider) as url:
        provider.url = url.removesuffix("/v1") + provider.path
        yield provider
