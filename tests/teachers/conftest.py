"""Stages over one store."""

from generate.conftest import stage_for

__all__ = ["stage_for"]
