"""The id of a new retry or rerun, where a person gives none."""

import secrets
from datetime import UTC, datetime


def new_id() -> str:
    """A string that is new: the time (UTC), and random digits for those of the same second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
