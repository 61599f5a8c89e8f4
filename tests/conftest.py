"""Fixtures that several areas use."""

from hub import hub
from seaweed import s3

__all__ = ["hub", "s3"]
