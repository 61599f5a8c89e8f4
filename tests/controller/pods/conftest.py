"""The control plane, for the tests that need a real API server."""

import pytest
from control_plane import control_plane

from tests.controller.pods.built_jobs import build

__all__ = ["control_plane"]


@pytest.fixture
def job():
    """Builds the Job of a stage."""
    return build
