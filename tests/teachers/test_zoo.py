"""Every provider of the zoo gives the rows that a request asks for, with few calls and an honest account."""

import pytest
from scripted import PATIENT, spec
from teachers.zoo import PROVIDERS, THOUGHT, Provider, serving

from tunesmith.settings import Teacher
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.teacher.kinds import check_teacher

ROWS = 30
IDEAL = ROWS + 2  # the plan, and the system message


@pytest.fixture(params=PROVIDERS.values(), ids=PROVIDERS)
def provider(request):
    with serving(request.param()) as served:
        yield served


def document(provider: Provider):
    return spec(provider.url, ROWS, teacher={"model": provider.model})


def test_a_default_request_gets_its_rows(provider, stage_for, run):
    stage = stage_for(document(provider))
    dataset = run(dataset_from_teacher(stage, PATIENT))
    assert len(dataset.rows) == ROWS
    unavoidable = sum(dataset.reasons().values()) + provider.faults
    assert provider.calls <= 1.1 * IDEAL + unavoidable
    texts = [dataset.system_message, *(text for row in dataset.rows for text in (row.prompt, row.response))]
    assert [text for text in texts if THOUGHT[:20] in text or "draft" in text or "think" in text] == []
    figures = dataset.figures
    told = figures["inputTokens"] + figures["outputTokens"]
    assert 0.9 * provider.tokens <= told <= 1.5 * provider.tokens, "what was paid for"


def test_the_check_finds_nothing_wrong(provider):
    teacher = Teacher.model_validate(document(provider)["data"]["teacher"])
    assert check_teacher(teacher) == []
    assert provider.tokens <= 50, "the last word has a chat of one token"
