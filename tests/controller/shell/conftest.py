"""The control plane, for the tests that need a real API server, and its fake node, for those whose pods shall run."""

from control_plane import control_plane
from kwok import fake_nodes

__all__ = ["control_plane", "fake_nodes"]
