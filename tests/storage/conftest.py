import os

import pytest

from tunesmith_jobs.storage import SCHEMES, open_store


@pytest.fixture(autouse=True)
def no_settings_of_the_developer(monkeypatch):
    for name in list(os.environ):
        if name.startswith("AWS_") or name.upper() in {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}:
            monkeypatch.delenv(name)


@pytest.fixture
def s3_env(s3, monkeypatch):
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return s3


# A store of each kind, by its scheme: a new kind needs its fixture `<scheme>_url` here.


@pytest.fixture
def file_url(tmp_path):
    return f"file://{tmp_path}/a store 存"


@pytest.fixture
def s3_url(s3_env):
    return s3_env.new_url()


@pytest.fixture(params=sorted(SCHEMES))
def url(request):
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def store(url):
    return open_store(url)
