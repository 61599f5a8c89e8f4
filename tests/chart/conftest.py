"""Lets these tests share rendering.py, and gives them a control plane."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from control_plane import control_plane
from kwok import fake_nodes

__all__ = ["control_plane", "fake_nodes"]
