"""The control plane and its fake node."""

from control_plane import control_plane
from controller.replicas import replicas
from kwok import fake_nodes

__all__ = ["control_plane", "fake_nodes", "replicas"]
