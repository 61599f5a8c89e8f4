"""OpenAI's chat protocol: what is asked in which form, and what headers and statuses mean."""

import pytest

from tunesmith.request import Spec
from tunesmith.settings import Teacher
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.dataset_plan import DatasetPlan, cell_at
from tunesmith_jobs.teacher.openai_chat import OpenAIChat
from tunesmith_jobs.teacher.openai_dialect import Dialect
from tunesmith_jobs.teacher.rate_limits import announced_limits, reset_in
from tunesmith_jobs.teacher.retry_after import retry_after, retry_after_in

ENDPOINT = OpenAIChat(Teacher(), 1.0)
SPEC = Spec.model_validate({"task": "the task", "model": {"base": "b"}})
PLAN = DatasetPlan(prompts="short", responses="right", topics=("a", "b"))
CALL = prompts.cell_call(SPEC, PLAN, cell_at(PLAN, 42, 0))
TEXT = prompts.system_message_call(SPEC, 0)
NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT

RETRY_AFTER = {
    "nothing said": ({}, None),
    "seconds": ({"retry-after": "3"}, 3.0),
    "a fraction": ({"retry-after": "0.25"}, 0.25),
    "milliseconds go first": ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
    "a date": ({"retry-after": "Sun, 06 Nov 1994 08:49:47 GMT"}, 10.0),
    "a date that is over": ({"retry-after": "Sun, 06 Nov 1994 08:49:00 GMT"}, 0.0),
    "nonsense": ({"retry-after": "soon"}, None),
    "no number": ({"retry-after": "nan"}, None),
}


@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_retry_after(headers, seconds):
    assert retry_after(headers, NOW) == seconds


IN_WORDS = {
    "Gemini": ('"details": [{"@type": "x.RetryInfo", "retryDelay": "17s"}]', 17.0),
    "OpenAI": ("Rate limit reached. Please try again in 1m2.5s. Visit", 62.5),
    "Groq": ("Please try again in 240ms.", 0.24),
    "a proxy": ("Too many requests, retry after 3 seconds", 3.0),
    "nothing": ("Rate limit reached for gpt-4.1: 500 requests a minute", None),
}


@pytest.mark.parametrize(("message", "seconds"), IN_WORDS.values(), ids=IN_WORDS)
def test_a_wait_that_is_told_in_words(message, seconds):
    assert retry_after_in(message) == seconds


RESETS = {
    "nothing said": ({}, None),
    "Azure, without retry-after": (
        {
            "x-ratelimit-remaining-requests": "9",
            "x-ratelimit-reset-requests": "3",
            "x-ratelimit-reset-tokens": "55",
        },
        55.0,
    ),
    "Azure, as it once wrote it": ({"x-rate-limit-reset-tokens": "55"}, 55.0),
    "of what is used up": (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "2.5s",
            "x-ratelimit-remaining-tokens": "900",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        2.5,
    ),
    "Anthropic": ({"anthropic-ratelimit-tokens-reset": "1994-11-06T08:49:57Z"}, 20.0),
    "Unix time": ({"x-ratelimit-reset": "784111784"}, 7.0),
    "Unix time in milliseconds": ({"x-ratelimit-reset": "784111784000"}, 7.0),
    "milliseconds": ({"x-ratelimit-reset-requests": "120ms"}, 0.12),
    "hours": ({"x-ratelimit-reset-requests": "1h2m3s"}, 3723.0),
    "nonsense": ({"x-ratelimit-reset-requests": "soon"}, None),
    "empty": ({"x-ratelimit-reset-requests": ""}, None),
}


@pytest.mark.parametrize(("headers", "seconds"), RESETS.values(), ids=RESETS)
def test_a_wait_that_is_told_by_when_a_limit_is_reset(headers, seconds):
    told = reset_in(headers, NOW)
    assert told is seconds if seconds is None else told == pytest.approx(seconds)


@pytest.mark.parametrize("level", ["json_schema", "json_object", "tags"])
def test_every_form_can_be_read_from_what_is_asked(level):
    body = Dialect(level=level).body(CALL)
    format_ = body.get("response_format", {}).get("type", "tags")
    assert format_ == level
    assert ("JSON" in body["messages"][0]["content"]) == (level != "tags"), (
        "OpenAI's JSON mode needs the word in the messages, and there are endpoints that ignore a schema"
    )
    assert ("<response>" in body["messages"][0]["content"]) == (level == "tags")


def test_what_is_fixed_comes_first_so_that_prompt_caches_apply():
    bodies = [Dialect().body(prompts.cell_call(SPEC, PLAN, cell_at(PLAN, 42, index))) for index in range(2)]
    assert bodies[0]["messages"][0] == bodies[1]["messages"][0]
    first, other = (body["messages"][1]["content"] for body in bodies)
    assert first.split("Example number")[0] == other.split("Example number")[0]


def test_how_many_rows_are_wanted_enters_no_call():
    few, many = (
        Spec.model_validate({"task": "t", "model": {"base": "b"}, "data": {"examples": count}})
        for count in (10, 1000)
    )
    assert prompts.plan_call(few, 0).key == prompts.plan_call(many, 0).key
    cell = cell_at(PLAN, 42, 3)
    assert prompts.cell_call(few, PLAN, cell).key == prompts.cell_call(many, PLAN, cell).key


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "<html>",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices": [{"message": {"content": 1}}]}',
        '{"choices": [{"message": {"content": [1]}}]}',
        '{"error": {}}',
    ],
)
def test_a_body_that_is_not_a_chat_completion_is_told_apart(raw):
    with pytest.raises(ValueError, match="not a chat completion"):
        ENDPOINT.read_answer(raw)


def test_an_answer_without_usage_is_still_counted():
    answer = ENDPOINT.read_answer('{"choices": [{"message": {"content": "123456789"}}]}')
    assert (answer.input_tokens, answer.output_tokens) == (0, 3)


ANNOUNCED = {
    "nothing said": ({}, {}),
    "a limit and what remains": (
        {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "7"},
        {"requests": (60.0, 7.0)},
    ),
    "what remains is not said": ({"x-ratelimit-limit-tokens": "9000"}, {"tokens": (9000.0, None)}),
    "nonsense": ({"x-ratelimit-limit-tokens": "many"}, {}),
    "Azure, where there is none": (
        {
            "x-ratelimit-limit-tokens": "-1",
            "x-ratelimit-remaining-tokens": "-1",
            "x-ratelimit-reset-tokens": "0",
        },
        {},
    ),
    "Azure, what remains of it knows what": ({"x-ratelimit-remaining-requests": "79"}, {}),
    "OpenAI": (
        {
            "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-limit-tokens": "160000",
            "x-ratelimit-remaining-tokens": "159976",
            "x-ratelimit-reset-tokens": "9ms",
        },
        {"requests": (5000.0, 4999.0), "tokens": (160000.0, 159976.0)},
    ),
    "Groq, whose limit on requests is of a day": (
        {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-limit-tokens": "18000",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-tokens": "7.66ms",
        },
        {"tokens": (18000.0, 17997.0)},
    ),
    "Anthropic": (
        {
            "anthropic-ratelimit-requests-limit": "1000",
            "anthropic-ratelimit-requests-remaining": "999",
            "anthropic-ratelimit-requests-reset": "1994-11-06T08:49:38Z",
        },
        {"requests": (1000.0, 999.0)},
    ),
}


@pytest.mark.parametrize(("headers", "limits"), ANNOUNCED.values(), ids=ANNOUNCED)
def test_announced_limits(headers, limits):
    assert announced_limits(headers, NOW).per_minute == limits
