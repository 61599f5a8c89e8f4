"""Where a credential is taken from: a secret travels only with the endpoint of the same source."""

import pytest
from requests_for_tests import document

from tunesmith.credentials import Source, hub_secret, hub_token, teacher_key, tracker_prefixes
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


HUB = Profile.model_validate_json("""{
  "name": "lab",
  "hubSecret": {"name": "lab-hub", "key": "token"},
  "models": {"small": "hf://lab/small@v1"},
  "defaults": {"model": {"base": "hf://lab/usual"}},
  "allow": {"bases": ["hf://*"], "tokenBases": ["hf://lab/open-*", "hf://{namespace}/*"]}
}""")
RECEIVED = {  # the request -> the Secret whose token its pods get
    "a model by its name": ({"model.base": "small"}, "lab-hub"),
    "the same by its URL": ({"model.base": "hf://lab/small@v1"}, "lab-hub"),
    "another revision of it": ({"model.base": "hf://lab/small@dev"}, None),
    "the profile's own model": ({"model.base": "hf://lab/usual"}, "lab-hub"),
    "a model of the patterns": ({"model.base": "hf://lab/open-7b@v2"}, "lab-hub"),
    "what anybody proposes for it": ({"model.base": "hf://lab/open-7b@refs/pr/1"}, None),
    "a model of the namespace": ({"model.base": "hf://default/private"}, "lab-hub"),
    "a private model of the same organisation": ({"model.base": "hf://lab/secret"}, None),
    "any other model": ({"model.base": "hf://org/m"}, None),
    "a model that cannot be compared": ({"model.base": "hf://lab/open-7b/../secret.gguf"}, None),
    "its own token for any model": (
        {"model.base": "hf://lab/secret", "model.tokenSecret": {"name": "ours"}},
        "ours",
    ),
    "a model elsewhere": ({"model.base": "s3://models/m"}, None),
}


@pytest.mark.parametrize(("changes", "expected"), RECEIVED.values(), ids=RECEIVED)
@pytest.mark.parametrize("in_defaults", [False, True])
def test_the_profiles_token_goes_only_to_models_that_the_platform_team_listed(changes, expected, in_defaults):
    profile = HUB
    if in_defaults:  # another place for the same Secret
        defaults = {"model": {"base": "hf://lab/usual", "tokenSecret": {"name": "lab-hub"}}}
        profile = HUB.model_copy(update={"hub_secret": None, "defaults": defaults})
    snap = snapshot(parse(document(changes)), run="r", profile=profile)
    received = hub_secret(snap, profile)
    assert (received.name if received else None) == expected


def test_only_variables_of_the_trackers_that_are_asked_for_pass():
    assert tracker_prefixes(parse(document()).spec) == ()
    spec = parse(document({"training.reportTo": ["wandb", "tensorboard"]})).spec
    assert tracker_prefixes(spec) == ("WANDB_", "TENSORBOARD_")
