"""The secrets that a process of the jobs was given, as its clients can use them."""

import os

from tunesmith import secret_values
from tunesmith.errors import Refused

HUB_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name


def strip_secrets() -> None:
    """Remove blanks and line breaks around each secret in the environment, for the libraries that read it."""
    os.environ.update(secret_values.stripped(os.environ))


def sendable(variable: str, place: str, *, words: bool = False) -> str:
    """The secret in a variable, empty if there is none. `place`: where people give it.

    `words`: it may have blanks in it, as `Bearer …` has. Raises Refused for one that no header can carry; the
    client would say so with the secret itself.
    """
    value = os.environ.get(variable, "").strip()
    parts = value.split(" ") if words else [value]
    if value and not all(map(secret_values.fits_header, parts)):
        raise Refused(
            f"the secret in {variable} has a blank, a line break or a character beyond ASCII in it,"
            " and no request can carry it",
            reason="SecretMalformed",
            remedy=f"write it again, in one line and as its issuer shows it: {place}",
        )
    return value


def hub_token() -> str | None:
    """The token for the hub, or None. Raises Refused for one that cannot be sent."""
    return sendable(HUB_TOKEN, "spec.model.tokenSecret or the profile's hubSecret (locally HF_TOKEN)") or None
