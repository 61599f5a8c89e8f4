"""Further headers, query and body of requests to the teacher: what is refused, and whose values win."""

import re

import pytest
from requests_for_tests import document

from tunesmith.errors import BadRequest
from tunesmith.profile import Profile
from tunesmith.request import parse
from tunesmith.resolve import resolve
from tunesmith.teacher_rules import OWN_MEMBERS

SECRET = {"name": "s"}
KEY = "sk-proj-0123456789abcdef"


def problems(**teacher):
    try:
        parse(document({"data.teacher": teacher}))
    except BadRequest as error:
        return {_member(problem.path): problem for problem in error.problems}
    return {}


def _member(path):
    """`headers.X`, whether a rule names it as Kubernetes does (`headers[X]`), or the models do."""
    return re.sub(r"\[(.*)\]$", r".\1", path.removeprefix("spec.data.teacher."))


GOOD = {
    "Azure's": {"query": {"api-version": "2024-10-21"}, "secretHeaders": {"api-key": SECRET}},
    "OpenRouter's": {"headers": {"HTTP-Referer": "https://us.example", "X-Title": "Tunesmith"}},
    "Anthropic's": {"headers": {"anthropic-beta": "interleaved-thinking-2025-05-14,context-1m-2025-08-07"}},
    "a long beta": {"headers": {"anthropic-beta": "fine-grained-tool-streaming-2025-05-14"}},
    "OpenAI's": {"headers": {"OpenAI-Organization": "org-abc", "OpenAI-Project": "proj_abc"}},
    "Helicone's": {"headers": {"Helicone-Cache-Enabled": "true"}, "secretHeaders": {"Helicone-Auth": SECRET}},
    "Cloudflare's": {"secretHeaders": {"CF-Access-Client-Secret": SECRET, "cf-aig-authorization": SECRET}},
    "a key that is none": {"headers": {"Idempotency-Key": "run-1", "X-Request-Id": "a-b-c"}},
    "vLLM's": {
        "body": {
            "chat_template_kwargs": {"enable_thinking": False},
            "top_k": 20,
            "stop_token_ids": [1],
            "skip_special_tokens": True,
        }
    },
    "a cache's": {"body": {"prompt_cache_key": "tunesmith", "logit_bias": {"50256": -100}}},
    "OpenRouter's provider": {"body": {"provider": {"order": ["a", "b"], "allow_fallbacks": False}}},
    "a scheme of one's own": {"secretHeaders": {"Authorization": SECRET}},
    "a question mark that begins no query": {"baseURL": "https://llm.example/v1?"},
}


@pytest.mark.parametrize("teacher", GOOD.values(), ids=GOOD)
def test_what_endpoints_want_can_be_said(teacher):
    assert problems(**teacher) == {}


BAD = {  # data.teacher -> the member at fault, words of why and remedy
    "a key by its header's name": ({"headers": {"api-key": "x"}}, "headers.api-key", "secretHeaders"),
    "in capitals": ({"headers": {"X-API-KEY": "x"}}, "headers.X-API-KEY", "secretHeaders"),
    "a login": ({"headers": {"Authorization": "x"}}, "headers.Authorization", "secretHeaders"),
    "a cookie": ({"headers": {"Cookie": "a=b"}}, "headers.Cookie", "secretHeaders"),
    "a token": ({"headers": {"X-Auth-Token": "x"}}, "headers.X-Auth-Token", "secretHeaders"),
    "a subscription": (
        {"headers": {"Ocp-Apim-Subscription-Key": "x"}},
        "headers.Ocp-Apim-Subscription-Key",
        "secretHeaders",
    ),
    "a key by its value": ({"headers": {"X-Team": KEY}}, "headers.X-Team", "secretHeaders"),
    "a bearer": ({"headers": {"X-Team": "Bearer abcdefgh"}}, "headers.X-Team", "secretHeaders"),
    "Azure's key by its value": ({"headers": {"X-A": "0f" * 16}}, "headers.X-A", "secretHeaders"),
    "Gemini's key in the query": ({"query": {"key": "x"}}, "query.key", "secretQuery"),
    "a signature": ({"query": {"sig": "x"}}, "query.sig", "secretQuery"),
    "a value that is a key": ({"query": {"v": KEY}}, "query.v", "secretQuery"),
    "a key in the body": ({"body": {"api_key": "x"}}, "body.api_key", "secretHeaders"),
    "a key deep in the body": (
        {"body": {"metadata": {"a": [{"auth_token": "x"}]}}},
        "body.metadata",
        "secretHeaders",
    ),
    "a key by its value in the body": ({"body": {"user": KEY}}, "body.user", "secretHeaders"),
    "another host": ({"headers": {"Host": "other.internal"}}, "headers.Host", "leave it out"),
    "another path": ({"headers": {"X-Original-URL": "/admin"}}, "headers.X-Original-URL", "leave it out"),
    "another client": ({"headers": {"X-Forwarded-For": "10.0.0.1"}}, "headers.X-Forwarded-For", "travels"),
    "how it is framed": ({"headers": {"Transfer-Encoding": "x"}}, "headers.Transfer-Encoding", "travels"),
    "a host from a Secret": ({"secretHeaders": {"host": SECRET}}, "secretHeaders.host", "travels"),
    "a blank in a name": ({"headers": {"X Team": "x"}}, "headers.X Team", "letters"),
    "a colon in a name": ({"secretHeaders": {"X:Y": SECRET}}, "secretHeaders.X:Y", "letters"),
    "an ampersand in a name": ({"query": {"a&b": "x"}}, "query.a&b", "letters"),
    "a line break in a value": ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers.X-A", "printable ASCII"),
    "a blank at the end": ({"headers": {"X-A": "a "}}, "headers.X-A", "printable ASCII"),
    "more than ASCII": ({"headers": {"X-A": "é"}}, "headers.X-A", "printable ASCII"),
    "a number": ({"headers": {"X-A": 1}}, "headers.X-A", "string"),
    "one name twice": (
        {"headers": {"X-Team": "a"}, "secretHeaders": {"x-team": SECRET}},
        "secretHeaders.x-team",
        "twice",
    ),
    "a body without end": ({"body": {"a": "x " * 8_001}}, "body", "16,000"),
    "a body too deep": ({"body": {"a": [[[[[[[[[1]]]]]]]]]}}, "body", "deeper"),
    "a query in the address": (
        {"baseURL": "https://x.example/openai/deployments/d?api-version=1"},
        "baseURL",
        "data.teacher.query",
    ),
    "a secret in place of a value": ({"headers": {"X-A": {"name": "s"}}}, "headers.X-A", "string"),
    "a value in place of a secret": ({"secretHeaders": {"api-key": "x"}}, "secretHeaders.api-key", "mapping"),
}


@pytest.mark.parametrize(("teacher", "path", "words"), BAD.values(), ids=BAD)
def test_what_must_not_be_said_is_refused_by_name(teacher, path, words):
    found = problems(**teacher)
    assert list(found) == [path]
    assert words in f"{found[path].why}; {found[path].remedy}"


def test_no_message_repeats_what_may_be_a_key():
    for teacher in (
        {"headers": {"X-A": f"{KEY} "}},
        {"headers": {"api-key": KEY}},
        {"query": {"key": KEY}},
        {"query": {"v": f"{KEY}\n"}},
        {"headers": {"X-A": [KEY]}},
        {"body": {"api_key": KEY}},
    ):
        with pytest.raises(BadRequest) as caught:
            parse(document({"data.teacher": teacher}))
        assert KEY not in str(caught.value)


@pytest.mark.parametrize("name", OWN_MEMBERS)
def test_what_is_set_anyway_is_refused_with_what_to_set(name):
    found = problems(body={name: 1, "top_k": 5})
    assert list(found) == [f"body.{name}"]
    assert found[f"body.{name}"].remedy == OWN_MEMBERS[name]


def test_too_many_are_refused():
    assert list(problems(headers={f"X-{number}": "a" for number in range(17)})) == ["headers"]
    assert list(problems(body={f"a{number}": 1 for number in range(33)})) == ["body"]


PLATFORM = {
    "baseURL": "https://gateway.corp/v1",
    "headers": {"X-Tenant": "ml", "X-Team": "shared"},
    "secretHeaders": {"x-gateway-key": {"name": "gate", "key": "k"}},
    "query": {"api-version": "1"},
    "body": {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 20},
}


def resolved(teacher, defaults=PLATFORM):
    profile = Profile.model_validate({"name": "p", "defaults": {"data": {"teacher": defaults}}})
    spec, sources = resolve(parse(document({"data.teacher": teacher})), profile)
    return spec.data.teacher, sources


def test_a_request_adds_to_what_its_profile_says():
    own = {"headers": {"X-Team": "nlp"}, "body": {"chat_template_kwargs": {}}, "secretHeaders": {}}
    teacher, sources = resolved(own | {"secretHeaders": {"x-gateway-key": {"name": "mine"}}})
    assert teacher.headers == {"X-Tenant": "ml", "X-Team": "nlp"}
    assert teacher.query == {"api-version": "1"}
    assert teacher.body == {"chat_template_kwargs": {}, "top_k": 20}, "each member is one value"
    assert teacher.secret_headers["x-gateway-key"].key == "apiKey", "and each secret"
    assert sources["data.teacher.headers.X-Tenant"] == "profile p"
    assert sources["data.teacher.headers.X-Team"] == "request"
    assert sources["data.teacher.body.top_k"] == "profile p"
    assert sources["data.teacher.secretHeaders.x-gateway-key"] == "request"


def test_an_endpoint_of_the_request_s_own_gets_nothing_of_the_profile_s():
    teacher, sources = resolved({"baseURL": "https://mine.example/v1", "headers": {"X-Mine": "1"}})
    assert teacher.headers == {"X-Mine": "1"}
    assert teacher.secret_headers == teacher.query == teacher.body == {}
    assert not [path for path in sources if "gateway" in path or "Tenant" in path]


def test_a_profile_is_held_to_the_same_rules():
    with pytest.raises(BadRequest, match=r"headers\[api-key\]") as caught:
        resolved({}, {"headers": {"api-key": KEY}})
    assert KEY not in str(caught.value)
