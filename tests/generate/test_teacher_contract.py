"""What generate expects of every kind of teacher, held against the scripted teacher's server."""

import asyncio

import pytest
from aiohttp import web
from plain_chat import PlainChat
from scripted import SUPPORT, in_a_thread, teacher

from tunesmith.errors import BadRequest, ExitCode, Refused
from tunesmith.request import Spec
from tunesmith.settings import Teacher
from tunesmith.wire import TEACHER_API_KEY
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.dataset_plan import DatasetPlan, cell_at
from tunesmith_jobs.generate.parse_answers import parse_pairs, parse_plan, parse_system_message
from tunesmith_jobs.teacher.endpoint import Passing, Throttled, Unsupported
from tunesmith_jobs.teacher.kinds import TEACHERS

KINDS = {**TEACHERS, "the smallest": PlainChat}
NOWHERE = "http://127.0.0.1:9/v1"
KEY = "sk-of-this-test"

MODELS = frozenset({"scripted"})
SPEC = Spec.model_validate(
    {"task": SUPPORT, "model": {"base": "b"}, "data": {"teacher": {"model": "scripted"}}}
)
PLAN = DatasetPlan(prompts="short", responses="right", topics=("a", "b"))
PAIRS = prompts.cell_call(SPEC, PLAN, cell_at(PLAN, 42, 0))
SHAPES = {
    "plan": (prompts.plan_call(SPEC, 0), parse_plan),
    "pairs": (PAIRS, lambda text: parse_pairs(text, 1)),
    "text": (prompts.system_message_call(SPEC, 0), parse_system_message),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def endpoint(kind, url, *, model="scripted", timeout=20.0):
    return kind(Teacher.model_validate({"model": model, "baseURL": url}), timeout)


def answers(opened, *calls):
    """The answers to calls that are sent at once; a call whose form is not known is sent again."""

    async def ask(call):
        for _ in range(10):
            try:
                answer, _ = await opened.send(call)
                return answer
            except Unsupported:
                continue
        pytest.fail("no form is left, and none was refused for good")

    async def all_of_them():
        async with opened:
            return await asyncio.gather(*map(ask, calls))

    return asyncio.run(all_of_them())


@each_kind
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("faults", [(), ("nojson",)], ids=["knows schemas", "knows text only"])
def test_every_shape_of_call_gets_an_answer_that_can_be_read(kind, shape, faults):
    call, parse = SHAPES[shape]
    with teacher(*faults) as server:
        [answer] = answers(endpoint(kind, server.url), call)
    assert parse(answer.content)
    assert answer.input_tokens > 0
    assert answer.output_tokens > 0
    assert answer.seconds > 0
    assert answer.fresh
    assert not answer.refusal
    assert answer.finish_reason not in ("length", "content_filter")


@each_kind
def test_the_messages_of_a_call_reach_the_teacher_to_the_byte(kind):
    with teacher() as server:
        answers(endpoint(kind, server.url), PAIRS)
    [text] = server.asked_for
    for _, message in PAIRS.messages:
        assert message in text


@each_kind
def test_a_form_that_the_endpoint_does_not_know_is_named_once(kind):
    forms = []

    async def ask(opened):
        async with opened:
            for _ in range(3):
                try:
                    await opened.send(PAIRS)
                except Unsupported as fault:
                    forms.append(fault.form)

    with teacher("nojson") as server:
        asyncio.run(ask(endpoint(kind, server.url)))
    assert all(forms)
    assert len(forms) == len(set(forms)) <= 2
    assert server.answered == 3 - len(forms)


@each_kind
def test_calls_that_are_sent_at_once_are_all_answered(kind):
    calls = [prompts.cell_call(SPEC, PLAN, cell_at(PLAN, 42, index)) for index in range(20)]
    with teacher("nojson", latency=0.02) as server:
        received = answers(endpoint(kind, server.url), *calls)
        assert server.answered == 20
    assert len({answer.content for answer in received}) == 20


@each_kind
def test_a_body_from_the_journal_is_read_as_it_was_when_it_came(kind):
    with teacher() as server:
        opened = endpoint(kind, server.url)
        [answer] = answers(opened, PAIRS)
    again = opened.read_answer(answer.raw, seconds=answer.seconds, fresh=False)
    assert not again.fresh
    assert (again.content, again.tokens, again.finish_reason, again.refusal, again.seconds) == (
        answer.content,
        answer.tokens,
        answer.finish_reason,
        answer.refusal,
        answer.seconds,
    )


@each_kind
@pytest.mark.parametrize("raw", ["", "<html>", "[]", "{}", '{"choices": []}', '{"error": {}}'])
def test_another_body_is_not_taken_for_an_answer(kind, raw):
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the kind's own
        endpoint(kind, NOWHERE).read_answer(raw)


@each_kind
def test_a_refusal_is_an_answer(kind):
    with teacher("refusal") as server:
        [answer] = answers(endpoint(kind, server.url), PAIRS)
    assert answer.refusal == "I cannot."
    assert answer.content == ""


PASSING = {  # what the endpoint does -> whether fewer requests may help
    "error": False,
    "overload": True,
    "garbage": False,
    "cut": True,
    "hang,seconds=5": True,
}


@each_kind
@pytest.mark.parametrize(("fault", "overload"), PASSING.items(), ids=PASSING)
def test_a_fault_that_may_pass_says_whether_fewer_requests_may_help(kind, fault, overload):
    with teacher(fault) as server, pytest.raises(Passing) as caught:
        answers(endpoint(kind, server.url, timeout=0.5), PAIRS)
    assert not isinstance(caught.value, Throttled)
    assert caught.value.overload == overload
    assert str(caught.value)


@each_kind
@pytest.mark.parametrize(("seconds", "wait"), [("0.3", 0.3), ("-1", None)])
def test_a_limited_rate_says_how_long_to_wait(kind, seconds, wait):
    with teacher(f"throttle,seconds={seconds}") as server, pytest.raises(Throttled) as caught:
        answers(endpoint(kind, server.url), PAIRS)
    assert caught.value.retry_after == wait


class Overloaded:
    """Is too busy, and says for how long."""

    def app(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        return app

    async def chat(self, _request):
        return web.json_response({"error": {"message": "busy"}}, status=503, headers={"Retry-After": "7"})


def test_an_overloaded_endpoint_says_how_long_to_wait():
    with in_a_thread(Overloaded()) as url, pytest.raises(Passing) as caught:
        answers(endpoint(TEACHERS["openai"], url), PAIRS)
    assert (caught.value.overload, caught.value.retry_after) == (True, 7.0)


FINAL = {
    "refuse": (Refused, "TeacherKeyRefused"),
    "quota": (Refused, "TeacherQuota"),
    "missing": (BadRequest, "TeacherModelNotFound"),
}


@each_kind
@pytest.mark.parametrize(("fault", "error", "reason"), [(fault, *case) for fault, case in FINAL.items()])
def test_a_fault_that_stays_has_a_reason(kind, fault, error, reason):
    with teacher(fault) as server, pytest.raises(error) as caught:
        answers(endpoint(kind, server.url), PAIRS)
    assert caught.value.reason == reason


@each_kind
def test_the_key_is_sent_and_never_said(kind, monkeypatch):
    monkeypatch.setenv(TEACHER_API_KEY, KEY)
    with teacher() as server:
        server.key = KEY
        assert endpoint(kind, server.url).check(MODELS) == []
        assert answers(endpoint(kind, server.url), PAIRS)
        server.key = "another"
        [error] = endpoint(kind, server.url).check(MODELS)
        assert (error.exit_code, error.reason) == (ExitCode.REFUSED, "TeacherKeyRefused")
        assert KEY not in str(error)
        with pytest.raises(Refused) as caught:
            answers(endpoint(kind, server.url), PAIRS)
        assert KEY not in str(caught.value)


@each_kind
def test_a_check_costs_nothing(kind):
    with teacher() as server:
        assert endpoint(kind, server.url).check(MODELS) == []
        assert server.asked == 0


@each_kind
def test_a_check_names_a_missing_model_and_an_endpoint_that_is_not_there(kind):
    with teacher() as server:
        [error] = endpoint(kind, server.url, model="gpt-9").check(frozenset({"gpt-9"}))
    assert (error.exit_code, error.reason) == (ExitCode.BAD_REQUEST, "TeacherModelNotFound")
    [error] = endpoint(kind, NOWHERE).check(MODELS)
    assert (error.exit_code, error.reason) == (ExitCode.TRY_AGAIN, "TeacherUnreachable")


@each_kind
def test_an_endpoint_that_is_only_made_reaches_for_nothing(kind, monkeypatch):
    monkeypatch.delenv(TEACHER_API_KEY, raising=False)
    assert endpoint(kind, NOWHERE).url == NOWHERE
