"""The cluster of this folder's tests, the release that most of them share, and how two processes share both.

`make e2e` runs two: a request waits for pods more than it computes. A test marked `alone` has the cluster for
itself.
"""

import fcntl
from pathlib import Path

import pytest
from e2e.base import put_two_layers
from e2e.cluster import cluster
from e2e.release import NAMESPACE, Release
from xdist.scheduler import LoadScopeScheduling

__all__ = ["cluster"]

# One process each, in this order: what reuses the finished quickstart comes after it, and the tests without a
# cluster fill the time until there is one.
GROUPS = (
    ("test_cluster", "test_quickstart", "test_docs", "test_faults"),
    (
        "test_kwok",
        "test_tryout_programs",
        "test_images",
        "test_run_policy",
        "test_changed_pods",
        "test_failures",
    ),
)
PLACES = {name: (group, place) for group, names in enumerate(GROUPS) for place, name in enumerate(names)}


def pytest_collection_modifyitems(items):
    def place(item):
        group, number = PLACES.get(item.path.stem, (len(GROUPS), 0))
        alone = (
            item.get_closest_marker("alone") is not None
        )  # others wait for these: they come last, first those of the last file,
        return group, alone, -number if alone else number  # whose fixtures are still there

    items.sort(key=place)


class ByGroup(LoadScopeScheduling):
    """One process for each of GROUPS. (xdist's own groups by mark do not work with pytest 9.)"""

    def _split_scope(self, nodeid):
        file = Path(nodeid.partition("::")[0])
        return str(PLACES.get(file.stem, [file])[0])


def pytest_xdist_make_scheduler(config, log):
    return ByGroup(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before a test's own time begins
def pytest_runtest_protocol(item):
    here = Path(__file__).parent
    with (here / "release.py").open() as door, (here / "cluster.py").open() as lock:
        fcntl.flock(
            door, fcntl.LOCK_EX
        )  # held while waiting, so that who wants the cluster alone is not overtaken for ever
        fcntl.flock(lock, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(scope="session")
def tryout(cluster):
    """The release, installed. It stays installed; `make cluster-down` stops the project's own cluster."""
    release = Release(cluster)
    if cluster.own:  # no pod of ours, of any kind, needs more than this allows
        release.kubectl("create", "namespace", NAMESPACE, check=False)
        release.kubectl(
            "label",
            "namespace",
            NAMESPACE,
            "default",
            "pod-security.kubernetes.io/enforce=restricted",
            "--overwrite",
        )
    release.install()
    put_two_layers(release)
    return release
