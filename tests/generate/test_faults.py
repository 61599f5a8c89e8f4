"""Faults of the teacher: which exit code and reason, and that what was paid for is kept."""

import time
from dataclasses import replace

import pytest
from scripted import PATIENT, QUICK, spec, teacher

from tunesmith.errors import BadData, BadRequest, ExitCode, Refused, TryAgain, TunesmithError
from tunesmith.wire import TEACHER_API_KEY
from tunesmith_jobs.generate.patience import Patience
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.teacher.kinds import check_teacher

FAULTS = {  # what the endpoint does -> exit code, reason, part of the message
    "the key is refused": ("refuse", ExitCode.REFUSED, "TeacherKeyRefused", "401"),
    "the quota is gone": ("quota", ExitCode.REFUSED, "TeacherQuota", "quota"),
    "the model is missing": ("missing", ExitCode.BAD_REQUEST, "TeacherModelNotFound", "404"),
    "429 for ever": ("throttle,seconds=0.3", ExitCode.TRY_AGAIN, "TeacherThrottled", "limits the rate"),
    "429 with a wait beyond all patience": (
        "throttle,seconds=3600",
        ExitCode.TRY_AGAIN,
        "TeacherThrottled",
        "asks to wait",
    ),
    "429 for ever, without Retry-After": (
        "throttle,seconds=-1",
        ExitCode.TRY_AGAIN,
        "TeacherThrottled",
        "limits the rate",
    ),
    "500 for ever": ("error", ExitCode.TRY_AGAIN, "TeacherUnavailable", "status 500"),
    "503 for ever": ("overload", ExitCode.TRY_AGAIN, "TeacherUnavailable", "status 503"),
    "connections are cut": ("cut", ExitCode.TRY_AGAIN, "TeacherUnavailable", "connection failed"),
    "a web page instead of JSON": (
        "garbage",
        ExitCode.TRY_AGAIN,
        "TeacherUnavailable",
        "not a chat completion",
    ),
    "it never answers": ("hang,seconds=30", ExitCode.TRY_AGAIN, "TeacherUnavailable", "no answer in 0.6 s"),
    "nonsense instead of pairs": (
        "nonsense",
        ExitCode.TRY_AGAIN,
        "TeacherUnusable",
        "are of no use|no usable",
    ),
}


AT_ONCE = (
    "the key is refused",
    "429 with a wait beyond all patience",
    "connections are cut",
    "nonsense instead of pairs",
)
WHEN = {
    **{f"{name}, in the middle": (*case, 12) for name, case in FAULTS.items()},
    **{f"{name}, at once": (*FAULTS[name], 0) for name in AT_ONCE},
}


@pytest.mark.parametrize(("fault", "code", "reason", "text", "after"), WHEN.values(), ids=WHEN)
def test_faults_end_the_stage_and_what_was_paid_is_used_later(stage_for, fault, code, reason, text, after):
    with teacher(f"{fault},after={after}", latency=0.01) as server:
        document = spec(server.url, 60, teacher={"maxConcurrency": 8})
        begun = time.monotonic()
        with pytest.raises(TunesmithError, match=text) as error:
            generate(stage_for(document), QUICK)
        assert (error.value.exit_code, error.value.reason) == (code, reason)
        assert time.monotonic() - begun < 25
        paid = server.answered
        assert paid >= after or fault == "hang,seconds=30"
        server.faults = []
        generate(stage_for(document), PATIENT)
        assert server.answered - paid <= 62 - after + (20 if fault == "nonsense" else 0)


PASSING = {
    "a storm of 429": "throttle,seconds=0.1,after=10,count=30",
    "some 500": "error,after=3,every=4,count=10",
    "an overload": "overload,after=10,count=5",
    "an outage of two seconds": "error,after=10,lasting=2",
    "cut connections": "cut,after=5,every=5,count=6",
    "web pages": "garbage,after=5,every=5,count=6",
    "one that hangs": "hang,seconds=30,after=9,count=1",
}
STEADY = replace(
    QUICK, request=3.0, tries=12, silence=20.0
)  # an answer that a busy machine delays is not asked for, and counted, twice


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_faults_that_pass_change_nothing_and_cost_nothing(stage_for, fault):
    with teacher(fault, latency=0.01) as server:
        outcome = generate(stage_for(spec(server.url, 60, teacher={"maxConcurrency": 8})), STEADY)
        assert outcome.metrics["rows"] == 60
        assert server.answered == 62


def test_an_endpoint_that_is_not_there_is_named(stage_for):
    with pytest.raises(TryAgain, match=r"http://127\.0\.0\.1:9/v1 does not answer: connection failed"):
        generate(stage_for(spec("http://127.0.0.1:9/v1")), QUICK)


def test_the_rate_of_a_limited_endpoint_is_found_with_few_refusals(stage_for):
    with teacher(latency=0.5, requests_per_second=20) as server:
        begun = time.monotonic()
        generate(stage_for(spec(server.url, 100)), replace(QUICK, request=20.0, silence=20.0))
        assert time.monotonic() - begun < 45  # 0.5 + (102 - 20) / 20 + 0.5 = 5.1 s is the least
        assert server.asked - server.answered < 50, "an idle machine sees 3; on a busy one they come late"


def test_calls_that_hang_while_others_are_answered_are_sent_again_before_their_time(stage_for):
    patience = replace(PATIENT, request=600.0, hung=0.5)
    with teacher("hang,seconds=600,after=5,every=20,count=2", latency=0.01) as server:
        begun = time.monotonic()
        outcome = generate(stage_for(spec(server.url, 60, teacher={"maxConcurrency": 8})), patience)
        assert time.monotonic() - begun < 60
        assert outcome.metrics["rows"] == 60
        assert (server.answered, server.asked) == (62, 64)


def test_a_fault_of_one_call_delays_no_other_and_itself_not_much(stage_for):
    patience = replace(PATIENT, base=100.0)
    with teacher("error,after=10,every=25,count=2", latency=0.2) as server:
        begun = time.monotonic()
        generate(stage_for(spec(server.url, 60, teacher={"maxConcurrency": 8})), patience)
        assert time.monotonic() - begun < 45, "at most a tenth of the first backoff each"
        assert server.answered == 62


BUDGETS = {
    "requests": ({"maxRequests": 10}, 10, 10_000),
    "tokens": ({"maxTokens": 20_000}, 200, 20_000),
    "dollars": (
        {"maxUSD": 0.02, "usdPerMillionInputTokens": 1.0, "usdPerMillionOutputTokens": 1.0},
        200,
        20_000,
    ),
}


@pytest.mark.parametrize(("budget", "requests", "tokens"), BUDGETS.values(), ids=BUDGETS)
def test_a_spent_budget_stops_before_the_limit_and_a_raised_one_goes_on(stage_for, budget, requests, tokens):
    with teacher() as server:
        with pytest.raises(BadData, match=r"the budget is spent.*\d+ of 200 rows were accepted") as error:
            generate(stage_for(spec(server.url, 200, budget=budget)), PATIENT)
        assert error.value.reason == "BudgetSpent"
        assert 5 <= server.asked <= requests
        assert server.tokens <= tokens
        generate(stage_for(spec(server.url, 200)), PATIENT)
        assert server.answered == 202


def test_a_budget_counts_what_earlier_attempts_spent(stage_for):
    with teacher() as server:
        for _ in range(2):
            with pytest.raises(BadData):
                generate(stage_for(spec(server.url, 50, budget={"maxRequests": 10})), PATIENT)
        assert server.asked == 10


def test_money_without_prices_is_a_bad_request(stage_for):
    with pytest.raises(BadRequest, match=r"spec\.data\.budget\.maxUSD: no price for scripted"):
        generate(stage_for(spec("http://127.0.0.1:9/v1", budget={"maxUSD": 1.0})), QUICK)


def test_openais_own_endpoint_needs_a_key(stage_for, monkeypatch):
    monkeypatch.delenv(TEACHER_API_KEY, raising=False)
    with pytest.raises(Refused, match="no API key"):
        generate(stage_for({"data": {"teacher": {"model": "gpt-4.1"}}}), QUICK)


def checked(url, stage_for, model="scripted"):
    return [
        (error.exit_code, error.reason)
        for error in check_teacher(stage_for(spec(url, teacher={"model": model})).spec.data)
    ]


def test_the_preflight_finds_nothing_wrong_with_a_good_teacher_and_pays_nothing(stage_for):
    with teacher() as server:
        assert checked(server.url, stage_for) == []
        assert server.asked == 0


def test_the_preflight_finds_a_missing_model_and_endpoint(stage_for, monkeypatch):
    with teacher() as server:
        assert checked(server.url, stage_for, "gpt-9") == [(ExitCode.BAD_REQUEST, "TeacherModelNotFound")]
        assert checked(server.url.replace("/v1", "/other"), stage_for) == [], (
            "an endpoint without a list of models passes"
        )
    assert checked("http://127.0.0.1:9/v1", stage_for) == [(ExitCode.TRY_AGAIN, "TeacherUnreachable")]


@pytest.mark.parametrize(("given", "seconds"), [("", 180.0), ("7.5", 7.5)])
def test_the_time_limit_of_a_request_comes_from_the_environment(monkeypatch, given, seconds):
    monkeypatch.setenv("TUNESMITH_TEACHER_TIMEOUT", given)
    assert Patience.from_environment().request == seconds


@pytest.mark.parametrize("given", ["soon", "0", "-1", "inf", "nan"])
def test_a_time_limit_that_is_not_a_number_of_seconds_is_a_bad_request(monkeypatch, given):
    monkeypatch.setenv("TUNESMITH_TEACHER_TIMEOUT", given)
    with pytest.raises(BadRequest, match="is not a number of seconds"):
        Patience.from_environment()
