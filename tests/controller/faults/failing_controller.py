"""The controller, with one fault of its machine: it dies at a write, or its clock is wrong.

python failing_controller.py FAULT... -- FLAGS OF THE CONTROLLER

after:VERB:RESOURCE:N   dies once the API server has answered the N-th such call, unread
before:VERB:RESOURCE:N  dies instead of making the N-th such call
clock:SECONDS           its wall clock is so many seconds fast
"""

import os
import sys
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from tunesmith_controller import api, main

DIED = 137


def die_at(when: str, verb: str, resource: str, number: int) -> None:
    """Ends the process at a call."""
    once, calls = api.Api._once, Counter[str]()

    def failing(self: api.Api, call: api.Call, *arguments: Any, **options: Any) -> Any:
        is_it = (call.verb, call.resource.name) == (verb, resource)
        calls["such"] += is_it
        here = is_it and calls["such"] == number
        if here and when == "before":
            os._exit(DIED)
        answer = once(self, call, *arguments, **options)
        if here:
            os._exit(DIED)
        return answer

    api.Api._once = failing  # type: ignore[method-assign]


def shift_clock(seconds: float) -> None:
    """Lets this process' wall clock go wrong. Monotonic time is right."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    for module in [module for name, module in sys.modules.items() if name.startswith("tunesmith_controller")]:
        if getattr(module, "datetime", None) is datetime:
            module.datetime = Wrong  # type: ignore[attr-defined]


if __name__ == "__main__":
    split = sys.argv.index("--")
    for fault in sys.argv[1:split]:
        kind, *details = fault.split(":")
        if kind == "clock":
            shift_clock(float(details[0]))
        else:
            die_at(kind, details[0], details[1], int(details[2]))
    main.main(sys.argv[split + 1 :])
