"""Runs the checks side by side, gathers their errors, and says what the run will need."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tunesmith.errors import BadData, BadRequest, Gone, Problem, Refused, TryAgain, TunesmithError
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.base import BaseFacts
from tunesmith_jobs.generate.preflight import checks
from tunesmith_jobs.generate.preflight.base_model import look_at_base
from tunesmith_jobs.generate.preflight.needs import needs
from tunesmith_jobs.given_secrets import hub_token

# Which class, and so which exit code, the error of several faults has: what needs a person's hand comes
# before what may pass.
_WORST_FIRST: tuple[type[TunesmithError], ...] = (BadRequest, Refused, BadData, Gone, TryAgain)
Check = Callable[[Attempt], Iterable[TunesmithError]]


def preflight(attempt: Attempt) -> BaseFacts | None:
    """Check the whole request; returns what the base model is.

    Raises one error with everything that is wrong: 78 if anything is, else 77, 65, 66, 75.
    """
    spec = attempt.spec
    with ThreadPoolExecutor() as pool:
        looking = pool.submit(look_at_base, spec, hub_token())
        checking = [pool.submit(_errors_of, check, attempt) for check in checks.INDEPENDENT]
        base = looking.result()
        errors = [error for check in checking for error in check.result()] + base.errors
    errors += _errors_of(lambda attempt: checks.adapter(attempt, base.pin), attempt)
    errors += _errors_of(checks.budget, attempt)
    if errors:
        raise combined(errors)
    for line in needs(spec, base.facts):
        attempt.say(line)
    return base.facts


def combined(errors: Iterable[TunesmithError]) -> TunesmithError:
    """One error with the problems of all, of the class that weighs most. A single error stays as it is."""
    distinct = list({str(error): error for error in errors}.values())
    if len(distinct) == 1:
        return distinct[0]
    kinds = (kind for kind in _WORST_FIRST if any(isinstance(error, kind) for error in distinct))
    problems = [problem for error in distinct for problem in _problems_of(error)]
    return next(kinds, TunesmithError)(
        f"the request cannot run: {len(problems)} problems, found before anything was spent",
        reason="PreflightFailed",
        problems=problems,
    )


def _problems_of(error: TunesmithError) -> Iterable[Problem]:
    return error.problems or (Problem("", error.message, remedy=error.remedy),)


def _errors_of(check: Check, attempt: Attempt) -> list[TunesmithError]:
    try:
        return list(check(attempt))
    except TunesmithError as error:
        return [error]
