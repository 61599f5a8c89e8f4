import os

import pytest

from tunesmith_jobs.storage import open_store


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


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path):
    if request.param == "folder":
        return f"file://{tmp_path}/a store 存"
    return request.getfixturevalue("s3_env").new_url()


@pytest.fixture
def store(url):
    return open_store(url)
