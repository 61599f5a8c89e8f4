"""The cluster that the tests of this folder run on, and the release that most of them share."""

from e2e.cluster import cluster
from e2e.release import tryout

__all__ = ["cluster", "tryout"]


# What reuses the finished quickstart comes last, what restarts the API server before it.
ORDER = ("test_cluster", "test_quickstart", "test_failures", "test_run_policy", "test_faults", "test_docs")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else len(ORDER))
