"""What is imported stays, so the collector of cycles need not look through it."""

import gc

import pytest

from tunesmith_jobs.imports import collector_paused


@pytest.fixture(autouse=True)
def as_before():
    yield
    gc.unfreeze()


def test_the_collector_pauses_and_leaves_alone_what_was_made_meanwhile():
    before = gc.get_freeze_count()
    with collector_paused():
        assert not gc.isenabled()
        stays = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(stays)


def test_an_import_that_fails_leaves_it_at_work():
    with pytest.raises(ImportError), collector_paused():
        raise ImportError("no such module")
    assert gc.isenabled()
