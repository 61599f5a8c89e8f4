"""What a rule about a part of a request is. Pure.

Each rule stands there twice, side by side: as Python for `tunesmith validate`, and as CEL for the API server
(crd.py puts it at `path`). CEL needs bounds on everything that it loops over; the models give them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Part = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one part of a spec must satisfy.

    `broken(part)` says whether the part at `path` breaks the rule, or names the members of `field` that do.
    `cel` says the opposite, over `self`; it
    is empty where CEL cannot express the rule. `field` is the member of the part that the problem is about,
    if there is one.
    """

    path: str
    why: str
    remedy: str
    broken: Callable[[Part], bool | Sequence[str]]
    cel: str = ""
    field: str = ""

    @property
    def message(self) -> str:
        """What the API server says."""
        return f"{self.why}; {self.remedy}".replace("`", "")


def mapping(value: Any) -> Part:
    """The value if it is a mapping, else an empty one: a document may be wrong in any way."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else []
