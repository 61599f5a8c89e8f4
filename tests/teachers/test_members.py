"""Further headers, query and body: they reach the endpoint, their secrets reach nothing else."""

import asyncio
import json

import pytest
from aiohttp import web
from scripted import PATIENT, spec
from teachers.zoo import AzureClassic, Gateway, Provider, VLLMByTemplate, refused, serving

from tunesmith.errors import BadRequest, Refused
from tunesmith.settings import Data, Teacher
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.teacher.kinds import check_teacher
from tunesmith_jobs.teacher.members import manner_of

KEY = "k-0123456789abcdef"
HEADER, QUERY = "TUNESMITH_SECRET_TEACHER_HEADER_", "TUNESMITH_SECRET_TEACHER_QUERY_"


class Open(Provider):
    """It takes everything, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = []

    def check(self, request: web.Request, body: dict) -> None:
        self.sent.append((request.headers.copy(), dict(request.query), body))


class Parrot(Open):
    """It tells a caller the caller's own key, as gateways do in their errors and answers."""

    def answer(self, body, text):
        completion = super().answer(body, text)
        completion["echo"] = self.sent[-1][0]["X-Key"] + self.sent[-1][1]["sig"]
        return completion


class RefusingParrot(Open):
    def check(self, request, body):
        raise refused(401, f"no such key: {request.headers['X-Key'].split()[-1]} {request.query['sig']}")


def run(stage_for, provider, rows=3, run="r", **teacher):
    document = spec(provider.url, rows, teacher={"model": provider.model, **teacher})
    return asyncio.run(dataset_from_teacher(stage_for(document, run), PATIENT))


def test_all_of_them_are_sent_with_each_call(stage_for, monkeypatch):
    monkeypatch.setenv(f"{HEADER}X_KEY", f"Bearer {KEY}\n")
    monkeypatch.setenv(f"{QUERY}SIG", f"s&={KEY}")
    with serving(Open()) as provider:
        run(
            stage_for,
            provider,
            headers={"X-Team": "nlp", "HTTP-Referer": "https://us.example/a b"},
            secretHeaders={"X-Key": {"name": "s"}},
            query={"api-version": "2024-10-21", "tags": "a&b=c"},
            secretQuery={"sig": {"name": "s"}},
            body={"top_k": 20, "chat_template_kwargs": {"enable_thinking": False}},
        )
    assert len(provider.sent) == 5
    for headers, query, body in provider.sent:
        assert headers["X-Team"] == "nlp"
        assert headers["HTTP-Referer"] == "https://us.example/a b"
        assert headers["X-Key"] == f"Bearer {KEY}"
        assert query == {"api-version": "2024-10-21", "tags": "a&b=c", "sig": f"s&={KEY}"}
        assert body["top_k"] == 20
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert body["model"] == provider.model


AUTHORIZATION = {  # the teacher's members, variables -> the header Authorization
    "no key at all": ({}, {}, "Bearer none"),
    "its key": ({}, {"TUNESMITH_TEACHER_API_KEY": KEY}, f"Bearer {KEY}"),
    "a key in another header is the only one": (
        {"secretHeaders": {"api-key": {"name": "s"}}},
        {f"{HEADER}API_KEY": KEY},
        None,
    ),
    "both, where both are given": (
        {"secretHeaders": {"api-key": {"name": "s"}}},
        {f"{HEADER}API_KEY": KEY, "TUNESMITH_TEACHER_API_KEY": "other-key"},
        "Bearer other-key",
    ),
    "another scheme": (
        {"secretHeaders": {"authorization": {"name": "s"}}},
        {f"{HEADER}AUTHORIZATION": "Basic dTpw"},
        "Basic dTpw",
    ),
}


@pytest.mark.parametrize(("members", "environ", "sent"), AUTHORIZATION.values(), ids=AUTHORIZATION)
def test_authorization(stage_for, monkeypatch, members, environ, sent):
    monkeypatch.delenv("TUNESMITH_TEACHER_API_KEY", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with serving(Open()) as provider:
        run(stage_for, provider, **members)
        teacher = Teacher.model_validate({"model": "m", "baseURL": provider.url, **members})
        assert check_teacher(Data(teacher=teacher)) == [] or sent == "Bearer none"
    assert {headers.get("Authorization") for headers, _, _ in provider.sent} == {sent}


ECHOES = {"secretHeaders": {"X-Key": {"name": "s"}}, "secretQuery": {"sig": {"name": "s"}}}


def test_an_endpoint_that_tells_a_secret_tells_it_to_nobody_else(stage_for, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv(f"{HEADER}X_KEY", f"Bearer {KEY}")
    monkeypatch.setenv(f"{QUERY}SIG", "sig-fedcba9876543210")
    with serving(Parrot()) as provider:
        run(stage_for, provider, **ECHOES)
    with serving(RefusingParrot()) as provider, pytest.raises(Refused) as caught:
        run(stage_for, provider, run="other", **ECHOES)
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert '"raw"' in written
    shown = "".join([str(caught.value), *capsys.readouterr(), written])
    assert "no such key" in shown
    assert KEY not in shown
    assert "sig-fedcba" not in shown


def test_a_secret_that_was_not_given_is_named_and_nothing_is_asked(stage_for, monkeypatch):
    monkeypatch.delenv(f"{HEADER}API_KEY", raising=False)
    with serving(AzureClassic()) as provider:
        with pytest.raises(Refused, match=r"spec\.data\.teacher\.secretHeaders\.api-key"):
            run(stage_for, provider, **provider.teacher)
        teacher = {"model": "m", "baseURL": provider.url, **provider.teacher}
        [error] = check_teacher(Data.model_validate({"teacher": teacher}))
    assert error.reason == "TeacherKeyMissing"
    assert provider.calls == 0


def test_what_azure_misses_is_said(stage_for, monkeypatch):
    monkeypatch.setenv(f"{HEADER}API_KEY", AzureClassic.key)
    with serving(AzureClassic()) as provider:
        with pytest.raises(BadRequest, match="api-version"):
            run(stage_for, provider, secretHeaders={"api-key": {"name": "azure"}})
        assert provider.calls <= 2
        monkeypatch.setenv(f"{HEADER}API_KEY", "0" * 32)
        teacher = {"model": "m", "baseURL": provider.url, **provider.teacher}
        [error] = check_teacher(Data.model_validate({"teacher": teacher}))
    assert "secretHeaders" in error.remedy


def test_a_member_that_the_endpoint_refuses_is_final_and_not_guessed_around(stage_for):
    with serving(Provider()) as provider, pytest.raises(BadRequest, match="top_k") as caught:
        run(stage_for, provider, body={"top_k": 20})
    assert "body" in caught.value.remedy
    assert provider.calls <= 2, "the plan and the system message, which are asked together"


def test_a_gateway_without_its_header_says_so(stage_for, monkeypatch):
    for name, value in Gateway.secrets.items():
        monkeypatch.setenv(name, value)
    without = {name: part for name, part in Gateway.teacher.items() if name != "headers"}
    with serving(Gateway()) as provider, pytest.raises(BadRequest, match="X-Team"):
        run(stage_for, provider, **without)


def test_a_model_that_is_told_not_to_think_does_not(stage_for):
    with serving(VLLMByTemplate()) as quiet:
        run(stage_for, quiet, **quiet.teacher)
    with serving(VLLMByTemplate()) as thinking:
        thinking.context = 40_000
        run(stage_for, thinking, run="other")
    assert quiet.tokens < thinking.tokens / 10


AGAIN = {  # the teacher of a second run over one journal -> whether it asks anew
    "the same": ({"body": {"top_k": 20}}, False),
    "another header": ({"body": {"top_k": 20}, "headers": {"X-Team": "b"}}, False),
    "another body": ({"body": {"top_k": 40}}, True),
    "no body": ({}, True),
    "another version": ({"body": {"top_k": 20}, "query": {"api-version": "2"}}, True),
}


@pytest.mark.parametrize(("teacher", "anew"), AGAIN.values(), ids=AGAIN)
def test_an_answer_is_found_again_only_if_it_was_asked_for_in_the_same_way(stage_for, teacher, anew):
    with serving(Open()) as provider:
        first = run(stage_for, provider, body={"top_k": 20})
        assert provider.calls == first.figures["calls"] == 5
        again = run(stage_for, provider, **teacher)
    assert again.figures["calls"] == (5 if anew else 0)


def test_requests_of_old_have_no_manner_so_that_their_journals_are_found():
    headers = {"headers": {"X": "y"}, "secretHeaders": {"K": {"name": "s"}}}
    assert manner_of(Teacher()) == manner_of(Teacher.model_validate(headers)) == ""
    some = {"body": {"b": 1}, "reasoningEffort": "low"}
    assert json.loads(manner_of(Teacher.model_validate(some))) == some
