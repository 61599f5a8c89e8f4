"""The two models of these tests, made once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # finished_runs.py, which these tests share

from finished_runs import make_models


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """For the stages that these tests start: with matrices this small, threads mostly wait for each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A base model, and one that has learnt the test rows by heart."""
    return make_models(tmp_path_factory.mktemp("models"))
