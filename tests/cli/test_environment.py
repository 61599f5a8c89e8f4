"""Which secrets a stage gets: only those of the endpoint's own source."""

import pytest
from requests_for_tests import document

from tunesmith.errors import BadRequest, Refused, Usage
from tunesmith.request import parse
from tunesmith.settings import SecretKey
from tunesmith_cli.local.environment import secret_variable, stage_environment
from tunesmith_cli.local.folders import run_folder, store_url
from tunesmith_cli.local.request_files import LoadedRequest, local_snapshot, refreshed

KEY = "TUNESMITH_TEACHER_API_KEY"
OPENAI = {"OPENAI_API_KEY": "sk-openai"}
SECRET = {"data.teacher.secret": {"name": "team-a", "key": "apiKey"}}
OWN = {"data.teacher.baseURL": "https://llm.example/v1"}


def snapshot(changes, environ):
    return local_snapshot(LoadedRequest(parse(document(changes)), "a file"), environ)


KEYS = {  # request, environment -> the key that generate gets, and the endpoint
    "OpenAI's key goes to OpenAI": ({}, OPENAI, "sk-openai", ""),
    "and to the endpoint of the same environment": (
        {},
        OPENAI | {"OPENAI_BASE_URL": "http://lab/v1"},
        "sk-openai",
        "http://lab/v1",
    ),
    "a local endpoint needs no key": ({}, {"OPENAI_BASE_URL": "http://lab/v1"}, None, "http://lab/v1"),
    "a request's own endpoint gets none of it": (OWN, OPENAI, None, "https://llm.example/v1"),
    "nor does it by an environment that names another": (
        OWN,
        OPENAI | {"OPENAI_BASE_URL": "http://lab/v1"},
        None,
        "https://llm.example/v1",
    ),
    "it gets the secret it names": (
        OWN | SECRET,
        OPENAI | {"TUNESMITH_SECRET_TEAM_A_APIKEY": "s"},
        "s",
        "https://llm.example/v1",
    ),
    "a request's secret never goes to the environment's endpoint": (
        SECRET,
        {"OPENAI_BASE_URL": "http://lab/v1", "TUNESMITH_SECRET_TEAM_A_APIKEY": "s"},
        "s",
        "",
    ),
    "another run's data needs no teacher": ({"data.from": {"run": "other"}}, {}, None, ""),
}


@pytest.mark.parametrize(("changes", "environ", "key", "endpoint"), KEYS.values(), ids=KEYS)
def test_teacher_key(changes, environ, key, endpoint):
    made = snapshot(changes, environ)
    env = stage_environment("generate", made, environ)
    assert (env.get(KEY), made.spec.data.teacher.base_url) == (key, endpoint)
    assert "OPENAI_API_KEY" not in env
    assert KEY not in stage_environment("train", made, environ)


AZURE = {"data.teacher.secretHeaders": {"api-key": {"name": "azure"}}}
IN_PLACE = {"TUNESMITH_SECRET_AZURE_APIKEY": "a-key"}
HEADERS = {  # request, environment -> teacher's key, the header's value, endpoint
    "the request's endpoint": (OWN | AZURE, OPENAI | IN_PLACE, None, "a-key", "https://llm.example/v1"),
    "OpenAI's": (AZURE, OPENAI | IN_PLACE, "sk-openai", "a-key", ""),
    "never the environment's": (
        AZURE,
        {"OPENAI_BASE_URL": "http://lab/v1", "OPENAI_API_KEY": "sk-lab"} | IN_PLACE,
        "sk-lab",
        "a-key",
        "",
    ),
    "own data needs none": (AZURE | {"data.source": {"uri": "x.csv"}}, OPENAI, "sk-openai", None, ""),
}


@pytest.mark.parametrize(("changes", "environ", "key", "header", "endpoint"), HEADERS.values(), ids=HEADERS)
def test_secret_headers(changes, environ, key, header, endpoint):
    made = snapshot(changes, environ)
    env = stage_environment("generate", made, environ)
    assert env.get(KEY) == key
    assert env.get("TUNESMITH_SECRET_TEACHER_HEADER_API_KEY") == header
    assert made.spec.data.teacher.base_url == endpoint
    assert "TUNESMITH_SECRET_TEACHER_HEADER_API_KEY" not in stage_environment("train", made, environ)


def test_a_stored_request_with_a_secret_header_is_not_turned_to_another_endpoint():
    made = snapshot(AZURE, OPENAI | IN_PLACE)
    assert refreshed(made, {"OPENAI_BASE_URL": "http://lab/v1"}).spec.data.teacher.base_url == ""


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({}, "OPENAI_API_KEY"),
        (OWN | AZURE, "TUNESMITH_SECRET_AZURE_APIKEY"),
        (SECRET, "TUNESMITH_SECRET_TEAM_A_APIKEY"),
    ],
)
def test_a_missing_key_names_its_variable(changes, variable):
    with pytest.raises(Refused, match=variable):
        stage_environment("generate", snapshot(changes, {}), {})


def test_openais_endpoint_by_an_empty_address_does_not_get_the_key_of_another():
    """The key in the environment belongs to the endpoint in the environment."""
    environ = OPENAI | {"OPENAI_BASE_URL": "http://lab/v1"}
    made = snapshot({"data.teacher.baseURL": ""}, environ)
    with pytest.raises(Refused, match="OPENAI_API_KEY is for OPENAI_BASE_URL"):
        stage_environment("generate", made, environ)
    own = {"source": {"uri": "x.csv"}, "systemMessage": "s", "teacher": {"baseURL": ""}}
    assert KEY not in stage_environment("generate", snapshot({"data": own}, environ), environ)
    assert (
        stage_environment("generate", snapshot({"data.teacher.baseURL": ""}, OPENAI), OPENAI)[KEY]
        == "sk-openai"
    )


HUB = {
    "a hub model": ({"model.base": "hf://org/m"}, {"HF_TOKEN": "t"}, "t"),
    "no other model": ({"model.base": "s3://b/m"}, {"HF_TOKEN": "t"}, None),
    "its own secret": (
        {"model.tokenSecret": {"name": "hub", "key": "token"}},
        {"HF_TOKEN": "t", "TUNESMITH_SECRET_HUB_TOKEN": "u"},
        "u",
    ),
}


@pytest.mark.parametrize(("changes", "environ", "token"), HUB.values(), ids=HUB)
def test_hub_token(changes, environ, token):
    assert stage_environment("train", snapshot(changes, environ), environ).get("HF_TOKEN") == token


def test_only_what_is_listed_passes():
    environ = OPENAI | {
        "PATH": "/bin",
        "AWS_PROFILE": "p",
        "HTTPS_PROXY": "http://p",
        "CUDA_VISIBLE_DEVICES": "0",
        "GITHUB_TOKEN": "x",
        "PYTHONPATH": "/x",
        "WANDB_API_KEY": "w",
    }
    env = stage_environment("train", snapshot({}, environ), environ)
    assert {"PATH", "AWS_PROFILE", "HTTPS_PROXY", "CUDA_VISIBLE_DEVICES"} <= env.keys()
    assert not {"GITHUB_TOKEN", "PYTHONPATH", "WANDB_API_KEY", "OPENAI_API_KEY"} & env.keys()
    assert env["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_a_request_sets_variables_but_none_that_steers_secrets():
    made = snapshot({"stages.train.env": {"MY_FLAG": "1"}}, OPENAI)
    assert stage_environment("train", made, OPENAI)["MY_FLAG"] == "1"
    steering = snapshot(
        {"stages.train.env": {"HF_ENDPOINT": "http://evil", "AWS_ENDPOINT_URL": "http://evil"}}, OPENAI
    )
    with pytest.raises(BadRequest, match="may not set") as caught:
        stage_environment("train", steering, OPENAI)
    assert len(caught.value.problems) == 2


def test_a_stored_endpoint_of_another_environment_is_not_trusted_with_this_ones_key():
    there = snapshot({}, {"OPENAI_BASE_URL": "http://evil/v1"})
    assert refreshed(there, OPENAI).spec.data.teacher.base_url == ""
    assert refreshed(snapshot(OWN, {}), OPENAI).spec.data.teacher.base_url == OWN["data.teacher.baseURL"]


def test_names_of_secrets_become_names_of_variables():
    assert (
        secret_variable(SecretKey(name="my.secret-1", key="api_key"))
        == "TUNESMITH_SECRET_MY_SECRET_1_API_KEY"
    )


STORES = {
    "s3": ("s3://bucket/a/", "s3://bucket/a"),
    "a folder": ("/a b", "file:///a%20b"),
    "file": ("file:///a", "file:///a"),
    "the built-in one": ("", "file:///h/.local/share/tunesmith/runs"),
}


@pytest.mark.parametrize(("given", "expected"), STORES.values(), ids=STORES)
def test_store(given, expected):
    assert store_url(given, {"HOME": "/h"}) == expected


@pytest.mark.parametrize("given", ["gs://b/x", "file://host", "s3://", "file:///"])
def test_a_store_that_is_none_is_refused(given):
    with pytest.raises(Usage):
        store_url(given, {})


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}])
def test_without_a_home_it_is_said_what_to_give(environ):
    with pytest.raises(Usage, match="HOME"):
        store_url("", environ)
    with pytest.raises(Usage, match="XDG_STATE_HOME"):
        run_folder("s3://b/p", "r", environ)


def test_xdg_folders_are_used():
    assert store_url("", {"XDG_DATA_HOME": "/d"}) == "file:///d/tunesmith/runs"
    assert run_folder("s3://b/p", "r", {"XDG_STATE_HOME": "/s"}).path.is_relative_to("/s/tunesmith")


@pytest.mark.parametrize("run", ["../x", "", "A", "a/b"])
def test_a_name_that_no_run_can_have_is_refused(run):
    with pytest.raises(Usage):
        run_folder("s3://b/p", run, {"HOME": "/h"})
