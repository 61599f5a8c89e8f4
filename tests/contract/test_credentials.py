"""Where a credential is taken from: a secret travels only with the endpoint of the same source."""

import pytest
from requests_for_tests import document

from tunesmith.credentials import Source, hub_token, teacher_key, tracker_prefixes
from tunesmith.plan import snapshot
from tunesmith.profile import Profile
from tunesmith.request import parse

ENDPOINT = {"data.teacher.baseURL": "https://llm.example/v1"}
SECRET = {"data.teacher.secret": {"name": "ours"}}


def resolved(changes, teacher=None):
    profile = Profile(name="lab", defaults={"data": {"teacher": teacher}} if teacher else {})
    return snapshot(parse(document(changes)), run="r", profile=profile)


KEYS = {  # the request, the profile's teacher -> where the key is taken from
    "no endpoint and no secret": ({}, None, Source.PLACE),
    "the place's endpoint": ({}, {"baseURL": "http://lab/v1"}, Source.PLACE),
    "the place's endpoint and secret": (
        {},
        {"baseURL": "http://lab/v1", "secret": {"name": "lab"}},
        Source.SPEC,
    ),
    "the request's endpoint alone": (ENDPOINT, None, Source.NOWHERE),
    "the request's endpoint, the place's secret": (ENDPOINT, {"secret": {"name": "lab"}}, Source.NOWHERE),
    "the request's endpoint and secret": (ENDPOINT | SECRET, None, Source.SPEC),
    "another run's dataset": ({"data.from": {"run": "other"}}, None, Source.NOWHERE),
}


@pytest.mark.parametrize(("changes", "teacher", "expected"), KEYS.values(), ids=KEYS)
def test_the_teachers_key_comes_from_the_source_of_its_endpoint(changes, teacher, expected):
    assert teacher_key(resolved(changes, teacher), "profile lab") is expected


TOKENS = {
    "a model on the hub": ({"model.base": "hf://org/m"}, Source.PLACE),
    "its own secret": ({"model.base": "hf://org/m", "model.tokenSecret": {"name": "ours"}}, Source.SPEC),
    "a model elsewhere": ({"model.base": "s3://b/m", "model.tokenSecret": {"name": "ours"}}, Source.NOWHERE),
}


@pytest.mark.parametrize(("changes", "expected"), TOKENS.values(), ids=TOKENS)
def test_only_a_model_on_the_hub_gets_a_token(changes, expected):
    assert hub_token(parse(document(changes)).spec) is expected


def test_only_variables_of_the_trackers_that_are_asked_for_pass():
    assert tracker_prefixes(parse(document()).spec) == ()
    spec = parse(document({"training.reportTo": ["wandb", "tensorboard"]})).spec
    assert tracker_prefixes(spec) == ("WANDB_", "TENSORBOARD_")
