"""The cluster that the tests of this folder run on, and the release that most of them share."""

from e2e.cluster import cluster
from e2e.release import tryout

__all__ = ["cluster", "tryout"]
