"""OpenAI's chat protocol: what is asked in which form, and what headers and statuses mean."""

import pytest

from tunesmith.settings import Data, Teacher
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.dataset_plan import DatasetPlan, cell_at
from tunesmith_jobs.teacher.openai_chat import OpenAIChat, announced_limits, final_error
from tunesmith_jobs.teacher.openai_dialect import Dialect
from tunesmith_jobs.teacher.retry_after import retry_after

ENDPOINT = OpenAIChat(Teacher(), 1.0)
PLAN = DatasetPlan(prompts="short", responses="right", topics=("a", "b"))
CALL = prompts.cell_call("the task", Data(), PLAN, cell_at(PLAN, 42, 0))
TEXT = prompts.system_message_call("the task", Data(), 0)
NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT

RETRY_AFTER = {
    "nothing said": ({}, None),
    "seconds": ({"retry-after": "3"}, 3.0),
    "a fraction": ({"retry-after": "0.25"}, 0.25),
    "milliseconds go first": ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
    "a date": ({"retry-after": "Sun, 06 Nov 1994 08:49:47 GMT"}, 10.0),
    "a date that is over": ({"retry-after": "Sun, 06 Nov 1994 08:49:00 GMT"}, 0.0),
    "nonsense": ({"retry-after": "soon"}, None),
}


@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_retry_after(headers, seconds):
    assert retry_after(headers, NOW) == seconds


LADDER = {  # dialect, what the 400 says -> the next dialect, or None
    "no JSON schema": (Dialect(), "response_format json_schema is unknown", Dialect(level="json_object")),
    "no JSON mode": (Dialect(level="json_object"), "response_format", Dialect(level="tags")),
    "nothing left": (Dialect(level="tags"), "bad request", None),
    "a newer OpenAI model": (
        Dialect(),
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        Dialect(tokens="max_completion_tokens"),
    ),
    "an older server": (
        Dialect(tokens="max_completion_tokens"),
        "extra field max_completion_tokens",
        Dialect(),
    ),
    "a model without a temperature": (
        Dialect(),
        "'temperature' does not support 0.7",
        Dialect(temperature=False),
    ),
}


@pytest.mark.parametrize(("dialect", "message", "other"), LADDER.values(), ids=LADDER)
def test_ladder(dialect, message, other):
    assert dialect.without(CALL, message) == other


def test_a_call_for_plain_text_never_asks_for_a_form():
    assert "response_format" not in Dialect().body(TEXT)
    assert Dialect().without(TEXT, "bad request") is None


@pytest.mark.parametrize("level", ["json_schema", "json_object", "tags"])
def test_every_form_can_be_read_from_what_is_asked(level):
    body = Dialect(level=level).body(CALL)
    format_ = body.get("response_format", {}).get("type", "tags")
    assert format_ == level
    assert ("JSON" in body["messages"][0]["content"]) == (level == "json_object"), (
        "OpenAI's JSON mode needs the word in the messages"
    )
    assert ("<response>" in body["messages"][0]["content"]) == (level == "tags")


def test_what_is_fixed_comes_first_so_that_prompt_caches_apply():
    bodies = [
        Dialect().body(prompts.cell_call("the task", Data(), PLAN, cell_at(PLAN, 42, index)))
        for index in range(2)
    ]
    assert bodies[0]["messages"][0] == bodies[1]["messages"][0]
    first, other = (body["messages"][1]["content"] for body in bodies)
    assert first.split("Example number")[0] == other.split("Example number")[0]


def test_how_many_rows_are_wanted_enters_no_call():
    few, many = Data(examples=10), Data(examples=1000)
    assert prompts.plan_call("t", few, 0).key == prompts.plan_call("t", many, 0).key
    cell = cell_at(PLAN, 42, 3)
    assert prompts.cell_call("t", few, PLAN, cell).key == prompts.cell_call("t", many, PLAN, cell).key


STATUS = {
    "401": (401, "bad key", "", "TeacherKeyRefused"),
    "403": (403, "not in your country", "", "TeacherKeyRefused"),
    "402": (402, "pay", "", "TeacherQuota"),
    "429 without quota": (429, "You exceeded your current quota", "insufficient_quota", "TeacherQuota"),
    "429": (429, "slow down", "rate_limit_exceeded", None),
    "404": (404, "no such model", "model_not_found", "TeacherModelNotFound"),
    "500": (500, "oops", "", None),
}


@pytest.mark.parametrize(("status", "message", "code", "reason"), STATUS.values(), ids=STATUS)
def test_what_no_retry_changes(status, message, code, reason):
    error = final_error(status, message, code, "http://x/v1", "m")
    assert (error and error.reason) == reason


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "<html>",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices": [{"message": {"content": ["x"]}}]}',
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
    "what remains is not said": ({"x-ratelimit-limit-tokens": "9000"}, {"tokens": (9000.0, 9000.0)}),
    "nonsense": ({"x-ratelimit-limit-tokens": "many"}, {}),
}


@pytest.mark.parametrize(("headers", "limits"), ANNOUNCED.values(), ids=ANNOUNCED)
def test_announced_limits(headers, limits):
    assert announced_limits(headers).per_minute == limits
