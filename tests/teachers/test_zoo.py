"""Every provider of the zoo gives the rows that a request asks for, with few calls and an honest account."""

import asyncio

import pytest
from scripted import PATIENT, spec
from teachers.zoo import PROVIDERS, THOUGHT, OpenAIReasoning, Provider, serving

from tunesmith.settings import Data
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.teacher.kinds import check_teacher

ROWS = 30
IDEAL = ROWS + 2  # the plan, and the system message


@pytest.fixture(params=PROVIDERS.values(), ids=PROVIDERS)
def provider(request, monkeypatch):
    for variable, value in request.param.secrets.items():
        monkeypatch.setenv(variable, value)
    with serving(request.param()) as served:
        yield served


def document(provider: Provider):
    return spec(provider.url, ROWS, teacher={"model": provider.model, **provider.teacher})


def test_a_default_request_gets_its_rows(provider, stage_for):
    stage = stage_for(document(provider))
    dataset = asyncio.run(dataset_from_teacher(stage, PATIENT))
    assert len(dataset.rows) == ROWS
    unavoidable = sum(dataset.reasons().values()) + provider.faults
    assert provider.calls <= 1.1 * IDEAL + unavoidable
    texts = [dataset.system_message, *(text for row in dataset.rows for text in (row.prompt, row.response))]
    assert [text for text in texts if THOUGHT[:20] in text or "draft" in text or "think" in text] == []
    figures = dataset.figures
    told = figures["inputTokens"] + figures["outputTokens"]
    assert 0.9 * provider.tokens <= told <= 1.5 * provider.tokens, "what was paid for"


def test_the_check_finds_nothing_wrong(provider):
    assert check_teacher(Data.model_validate(document(provider)["data"])) == []
    assert provider.tokens <= 50, "the last word has a chat of one token"


class Unnamed(OpenAIReasoning):
    """A model that thinks, under a name that tells nothing, and without a word about `max_tokens`."""

    model = "our-model"
    listed = ("our-model",)

    def check(self, request, body):
        pass


def test_what_many_calls_learn_at_once_is_told_once(stage_for, capsys):
    with serving(Unnamed()) as provider:
        asyncio.run(dataset_from_teacher(stage_for(document(provider)), PATIENT))
    told = [line for line in capsys.readouterr().out.splitlines() if "is asked in the form" in line]
    assert told
    assert len(told) == len({line.partition(" (")[0] for line in told})
