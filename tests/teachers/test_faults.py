"""Every fault that an endpoint can have, as providers word it: what it is, and so what helps."""

import pytest

from tunesmith_jobs.teacher.openai_faults import Fault, fault_of

# who says so, or where it was reported: (status, code, message), what it is
FAULTS = {
    "OpenAI, a wrong key": ((401, "invalid_api_key", "Incorrect API key provided"), Fault.KEY),
    "OpenAI, a country": ((403, "unsupported_country_region_territory", "Country not supported"), Fault.KEY),
    "Gemini, a wrong key is a 400": (
        (400, "400", "API key not valid. Please pass a valid API key."),
        Fault.KEY,
    ),
    "LiteLLM, no access": ((403, "403", "key not allowed to access model"), Fault.KEY),
    "OpenAI, no credit": ((429, "insufficient_quota", "You exceeded your current quota"), Fault.QUOTA),
    "DeepSeek, no credit": ((402, "", "Insufficient Balance"), Fault.QUOTA),
    "Anthropic, no credit is a 400": (
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API"),
        Fault.QUOTA,
    ),
    "OpenRouter, no credit": ((402, "402", "This request requires more credits"), Fault.QUOTA),
    "OpenAI, no such model": ((404, "model_not_found", "The model `x` does not exist"), Fault.MODEL),
    "Azure, no such deployment": (
        (404, "DeploymentNotFound", "The API deployment does not exist"),
        Fault.MODEL,
    ),
    "Ollama, no such model": ((404, "", 'model "x" not found, try pulling it first'), Fault.MODEL),
    "OpenRouter, no such model is a 400": ((400, "400", "x/y is not a valid model ID"), Fault.MODEL),
    "Groq, a model that is gone": (
        (400, "model_decommissioned", "The model `x` has been decommissioned and is no longer available"),
        Fault.FORM,
    ),
    "OpenAI, too fast": ((429, "rate_limit_exceeded", "Rate limit reached for gpt-4.1"), Fault.RATE),
    "Gemini, too fast": ((429, "", "Resource exhausted. Please try again later."), Fault.RATE),
    "a gateway, too fast is a 403": ((403, "", "Rate limit exceeded: 403 from the gateway"), Fault.RATE),
    "Anthropic, overloaded": ((529, "", "Overloaded"), Fault.OVERLOAD),
    "Gemini, overloaded": ((503, "", "The model is overloaded. Please try again later."), Fault.OVERLOAD),
    "Groq, flex capacity": ((498, "", "capacity_exceeded"), Fault.OVERLOAD),
    "llama.cpp, loading": ((503, "", "Loading model"), Fault.OVERLOAD),
    "a gateway's time is up": ((504, "", "upstream request timeout"), Fault.PASSING),
    "Cloudflare": ((520, "", "Web server is returning an unknown error"), Fault.PASSING),
    "OpenAI, its own fault": ((500, "server_error", "The server had an error"), Fault.PASSING),
    "OpenAI, flagged": ((400, "invalid_prompt", "Invalid prompt: your prompt was flagged"), Fault.MODERATED),
    "Azure, filtered": ((400, "content_filter", "The response was filtered"), Fault.MODERATED),
    "OpenRouter, flagged": ((403, "403", "Your input was flagged by moderation"), Fault.MODERATED),
    "OpenRouter, flagged, as the router says it (mini-swe-agent 902)": (
        (502, "502", "This content was flagged for possible cybersecurity risk"),
        Fault.MODERATED,
    ),
    "DeepSeek, withheld": ((400, "invalid_request_error", "Content Exists Risk"), Fault.MODERATED),
    "Alibaba, withheld": (
        (400, "data_inspection_failed", "Input data may contain inappropriate content."),
        Fault.MODERATED,
    ),
    "for legal reasons": ((451, "", "Unavailable"), Fault.MODERATED),
    "Groq, no JSON (amurex-backend 38)": (
        (400, "json_validate_failed", "Failed to generate JSON. Please adjust your prompt."),
        Fault.UNREADABLE,
    ),
    "OpenAI, thoughts to the end (lotus 260)": (
        (400, "", "Could not finish the message because max_tokens or model output limit was reached."),
        Fault.CUT,
    ),
    "vLLM, too long (vllm 42474)": (
        (
            400,
            "400",
            "This model's maximum context length is 4096 tokens. However, you requested 4096 output",
        ),
        Fault.TOO_LONG,
    ),
    "OpenAI, more than the model writes": (
        (
            400,
            "invalid_value",
            "max_tokens is too large: 32000. This model supports at most 16384 completion",
        ),
        Fault.TOO_LONG,
    ),
    "Anthropic, more than the model writes": (
        (400, "", "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens"),
        Fault.TOO_LONG,
    ),
    "DeepSeek, more than the model writes": (
        (400, "", "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
        Fault.TOO_LONG,
    ),
    "Together, too long": ((422, "", "`inputs` tokens + `max_new_tokens` must be <= 4097"), Fault.TOO_LONG),
    "llama.cpp, too long": ((400, "", "the request exceeds the available context size"), Fault.TOO_LONG),
    "a proxy's limit on bodies": ((413, "", "Request Entity Too Large"), Fault.TOO_LONG),
    "OpenAI, the other name of the limit (write-assist-ai 30)": (
        (400, "unsupported_parameter", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'"),
        Fault.FORM,
    ),
    "OpenAI, no temperature": (
        (400, "unsupported_value", "Unsupported value: 'temperature' does not support 0.7 with this model."),
        Fault.FORM,
    ),
    "Mistral, an unknown member": (
        (422, "", "extra_forbidden max_completion_tokens: Extra inputs"),
        Fault.FORM,
    ),
    "DeepSeek, no schema (llm-exe 662)": (
        (400, "invalid_request_error", "This response_format type is unavailable now"),
        Fault.FORM,
    ),
    "vLLM, no system role": ((400, "", "System role not supported"), Fault.FORM),
    "llama.cpp, no system role (Eta 59)": (
        (500, "", "Jinja Exception: System role not supported"),
        Fault.FORM,
    ),
}


@pytest.mark.parametrize(("said", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_a_refusal_means(said, fault):
    assert fault_of(*said) is fault
