"""Amounts as Kubernetes writes them: `500m`, `16Gi`. Pure."""

import re
from fractions import Fraction

_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_UNITS = {"m": Fraction(1, 1000)} | {name: Fraction(size) for name, size in (_DECIMAL | _BINARY).items()}
# How a request may write one, for the API server too.
PATTERN = "^[0-9]+([.][0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"
# No exponent, whose power would be computed.
_FORM = re.compile(rf"([0-9]{{1,32}}(?:\.[0-9]{{1,32}})?)({'|'.join(sorted(_UNITS, key=len, reverse=True))})")


def exact(text: str) -> Fraction:
    """The number in a quantity. Raises ValueError for a text that is none."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount such as 500m, 2, 16Gi")
    return Fraction(match[1]) * _UNITS[match[2]]


def quantity(text: str) -> float:
    """The number in a quantity, as near as a float comes."""
    return float(exact(text))
