"""The process that checks answers: `python -m tunesmith_jobs.answer_format`.

It reads a Format as one line of JSON and prints a list of what is wrong with it; then, for each answer (a
line with a JSON string), a line with what is wrong with that.
"""

import json
import resource
import sys

from tunesmith.errors import BadRequest
from tunesmith.settings import Format

_CPU_SECONDS = 1800  # of its whole life; it ends by itself if its parent was killed meanwhile
_MEMORY = 2 * 2**30
_LONGEST = 1000  # characters of what is wrong, which may hold the answer


def main() -> None:
    """Check until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    from tunesmith_jobs.answer_format.check import format_check

    try:
        check = format_check(Format.model_validate_json(sys.stdin.readline()))
    except BadRequest as error:
        _say([[problem.path, problem.why, error.reason] for problem in error.problems])
        return
    _say([])
    for line in sys.stdin:
        _say(check(json.loads(line))[:_LONGEST])


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
