"""The environment of a stage: the names that its libraries read, each secret with its own endpoint only."""

import pytest

from tests.controller.pods.built_jobs import env_of

BUILT_IN = {
    "HF_HOME": "/scratch/huggingface",
    "XDG_CACHE_HOME": "/scratch/.cache",
    "TORCHINDUCTOR_CACHE_DIR": "/scratch/.cache/torchinductor",
    "TRITON_CACHE_DIR": "/scratch/.cache/triton",
    "HOME": "/scratch",
    "USER": "tunesmith",
    "LOGNAME": "tunesmith",
    "TMPDIR": "/tmp",
    "PYTHONUNBUFFERED": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TUNESMITH_ATTEMPT": "a1",
    "TUNESMITH_KEEP_REQUEST": "1",
}
S3 = {"url": "s3://b/r", "endpoint": "https://s3.example", "region": "eu-1", "secret": "store"}
TEACHER = {
    "teacherSecret": {"name": "platform", "key": "k"},
    "defaults": {"data": {"teacher": {"baseURL": "https://llm.example/v1"}}},
}
CA = "/etc/tunesmith-ca/ca.crt"
OWN_URL = {"data.teacher.baseURL": "https://mine.example/v1"}
RATE = {"TUNESMITH_TEACHER_RATE_FILE": "/etc/tunesmith-pod/teacher-requests-per-minute"}

CASES = {  # stage, spec, profile -> variables in addition to the built-in ones
    "the least": ("train", {}, {}, {}),
    "a store with keys": (
        "merge",
        {},
        {"store": S3},
        {
            "AWS_ENDPOINT_URL_S3": "https://s3.example",
            "AWS_REGION": "eu-1",
            "AWS_DEFAULT_REGION": "eu-1",
            "AWS_ACCESS_KEY_ID": "store/AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY": "store/AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN": "store/AWS_SESSION_TOKEN?",
        },
    ),
    "a store that encrypts": (
        "merge",
        {},
        {"store": {"url": "s3://b/r", "addressingStyle": "virtual", "encryption": "aws:kms", "kmsKey": "k"}},
        {
            "TUNESMITH_S3_ADDRESSING_STYLE": "virtual",
            "TUNESMITH_S3_ENCRYPTION": "aws:kms",
            "TUNESMITH_S3_KMS_KEY": "k",
        },
    ),
    "the profile's teacher": ("generate", {}, TEACHER, RATE | {"TUNESMITH_TEACHER_API_KEY": "platform/k"}),
    "the profile's key for OpenAI": (
        "generate",
        {},
        {"teacherSecret": {"name": "openai"}},
        RATE | {"TUNESMITH_TEACHER_API_KEY": "openai/apiKey"},
    ),
    "the request's endpoint gets no key of the profile": ("generate", OWN_URL, TEACHER, RATE),
    "the request's endpoint gets its key": (
        "generate",
        OWN_URL | {"data.teacher.secret": {"name": "mine"}},
        TEACHER,
        RATE | {"TUNESMITH_TEACHER_API_KEY": "mine/apiKey"},
    ),
    "nor that of the profile's defaults": (
        "generate",
        OWN_URL,
        {"defaults": {"data": {"teacher": {"secret": {"name": "platform"}}}}},
        RATE,
    ),
    "secrets in headers and in the query": (
        "generate",
        OWN_URL
        | {
            "data.teacher.secretHeaders": {"api-key": {"name": "azure"}},
            "data.teacher.secretQuery": {"sig": {"name": "azure", "key": "sig"}},
        },
        TEACHER,
        RATE
        | {
            "TUNESMITH_SECRET_TEACHER_HEADER_API_KEY": "azure/apiKey",
            "TUNESMITH_SECRET_TEACHER_QUERY_SIG": "azure/sig",
        },
    ),
    "those of the profile, with its key": (
        "generate",
        {},
        {
            "teacherSecret": {"name": "platform"},
            "defaults": {"data": {"teacher": {"secretHeaders": {"x-gateway": {"name": "gate", "key": "k"}}}}},
        },
        RATE
        | {
            "TUNESMITH_TEACHER_API_KEY": "platform/apiKey",
            "TUNESMITH_SECRET_TEACHER_HEADER_X_GATEWAY": "gate/k",
        },
    ),
    "the request's endpoint gets no header of the profile": (
        "generate",
        OWN_URL,
        {"defaults": {"data": {"teacher": {"secretHeaders": {"x-gateway": {"name": "gate"}}}}}},
        RATE,
    ),
    "another run's data needs no header": (
        "generate",
        {"data.from": {"run": "other"}, "data.teacher.secretHeaders": {"api-key": {"name": "azure"}}},
        {},
        RATE,
    ),
    "own data may need no key": (
        "generate",
        {"data.source": {"uri": "s3://b/rows.jsonl"}},
        TEACHER,
        RATE | {"TUNESMITH_TEACHER_API_KEY": "platform/k?"},
    ),
    "another run's data needs none": ("generate", {"data.from": {"run": "other"}}, TEACHER, RATE),
    "only generate has the key": ("train", {}, TEACHER, {}),
    "the hub": (
        "train",
        {},
        {
            "hubSecret": {"name": "hub", "key": "token"},
            "hubEndpoint": "https://hub.example",
            "allow": {"tokenBases": ["hf://org/*"]},
        },
        {"HF_ENDPOINT": "https://hub.example", "HF_TOKEN": "hub/token"},
    ),
    "the hub without a token, for a model that the platform team has not listed": (
        "train",
        {},
        {"hubSecret": {"name": "hub", "key": "token"}},
        {},
    ),
    "the request's token": (
        "train",
        {"model.tokenSecret": {"name": "mine"}},
        {"hubSecret": {"name": "hub"}},
        {"HF_TOKEN": "mine/apiKey"},
    ),
    "no token for a model of a bucket": (
        "train",
        {"model.base": "s3://b/m"},
        {"hubSecret": {"name": "hub"}},
        {},
    ),
    "no token for deliver": ("deliver", {"output": "s3://b/o"}, {"hubSecret": {"name": "hub"}}, {}),
    "a tracker": (
        "train",
        {"training.reportTo": ["wandb"]},
        {"trackerSecrets": {"WANDB_API_KEY": {"name": "w"}, "MLFLOW_TOKEN": {"name": "m"}}},
        {"WANDB_API_KEY": "w/apiKey"},
    ),
    "a tracker is train's": (
        "merge",
        {"training.reportTo": ["wandb"]},
        {"trackerSecrets": {"WANDB_API_KEY": {"name": "w"}}},
        {},
    ),
    "no tracker unless asked": ("train", {}, {"trackerSecrets": {"WANDB_API_KEY": {"name": "w"}}}, {}),
    "proxies under both names": (
        "merge",
        {},
        {"proxy": {"https": "http://p:1", "noProxy": ".svc"}},
        {"HTTPS_PROXY": "http://p:1", "https_proxy": "http://p:1", "NO_PROXY": ".svc", "no_proxy": ".svc"},
    ),
    "certificates for every client": (
        "merge",
        {},
        {"caBundle": {"name": "corp", "key": "bundle.pem"}},
        {"SSL_CERT_FILE": CA, "REQUESTS_CA_BUNDLE": CA, "CURL_CA_BUNDLE": CA, "AWS_CA_BUNDLE": CA},
    ),
    "a shared cache": ("train", {}, {"cacheClaim": "models"}, {"HF_HOME": "/cache/huggingface"}),
    "the request's variables over the profile's": (
        "train",
        {"stages.train": {"env": {"A": "request"}}},
        {"env": {"A": "profile", "B": "profile"}},
        {"A": "request", "B": "profile"},
    ),
    "nothing of the stage's own can be taken over": (
        "merge",
        {
            "stages.merge": {
                "env": {"AWS_ENDPOINT_URL_S3": "https://mine.example", "HOME": "/x", "TUNESMITH_ATTEMPT": "x"}
            }
        },
        {"store": S3, "env": {"DO_NOT_TRACK": "0"}},
        {
            "AWS_ENDPOINT_URL_S3": "https://s3.example",
            "AWS_REGION": "eu-1",
            "AWS_DEFAULT_REGION": "eu-1",
            "AWS_ACCESS_KEY_ID": "store/AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY": "store/AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN": "store/AWS_SESSION_TOKEN?",
        },
    ),
    "as many threads as cores": (
        "merge",
        {"stages.merge": {"resources": {"limits": {"cpu": "2500m"}}}},
        {},
        {"OMP_NUM_THREADS": "3"},
    ),
    "shared by the processes": (
        "train",
        {
            "training.device": "cuda",
            "stages.train": {"resources": {"limits": {"cpu": "8", "nvidia.com/gpu": "4"}}},
        },
        {},
        {"OMP_NUM_THREADS": "2"},
    ),
}


@pytest.mark.parametrize(("stage", "spec", "profile", "more"), CASES.values(), ids=CASES)
def test_a_stage_gets_these_variables_and_no_other(job, stage, spec, profile, more):
    assert env_of(job(stage, spec, profile)) == BUILT_IN | more


def test_the_attempt_is_said_in_the_names_that_a_stage_gives(job):
    assert env_of(job(attempt=7))["TUNESMITH_ATTEMPT"] == "a7"
