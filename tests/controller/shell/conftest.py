"""The control plane for tests that need a real API server, and its fake node for those whose pods run."""

from control_plane import control_plane
from controller.replicas import replicas
from kwok import fake_nodes

__all__ = ["control_plane", "fake_nodes", "replicas"]
