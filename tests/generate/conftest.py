"""Stages over one store."""

import pytest
from stages import snapshot_for

from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.storage import open_store


@pytest.fixture
def stage_for(tmp_path):
    """Makes a stage of a spec over one store, each time a new attempt."""
    attempts = iter(range(1000))

    def make(document, run="r", attempt=None):
        number = next(attempts)
        work = tmp_path / f"work{number}"
        work.mkdir()
        store = open_store((tmp_path / "store").as_uri())
        return Attempt("generate", snapshot_for(document, run), store, work, attempt or f"a{number:03d}")

    return make
