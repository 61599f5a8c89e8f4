"""Stages over one store, and an event loop."""

import asyncio

import pytest
from generate.conftest import stage_for

__all__ = ["stage_for"]


@pytest.fixture
def run():
    """Runs a coroutine to its end."""
    return asyncio.run
