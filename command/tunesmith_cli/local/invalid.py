"""The error for requests that cannot run: everything that is wrong with all of them, at once."""

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.errors import BadRequest, ExitCode, Problem, TunesmithError, Usage

Failure = tuple[str, TunesmithError]  # the file or document, and what is wrong with it


class Invalid(BadRequest):
    """Requests that cannot run. `failures`: what is wrong, with each file or document."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        self.failures = tuple(failures)
        if all(isinstance(error, Usage) for _, error in failures):
            self.exit_code = ExitCode.USAGE
        if len(failures) == 1:
            [(source, error)] = failures
            message = error.message if isinstance(error, Usage) else f"{source}: {error.message}"
            super().__init__(message, reason=error.reason, remedy=error.remedy, problems=error.problems)
            return
        problems = [
            replace(problem, path=f"{source}: {problem.path}" if problem.path else source)
            for source, problem in self.found
        ]
        super().__init__(f"{len(failures)} requests cannot run", problems=problems)

    @property
    def found(self) -> list[tuple[str, Problem]]:
        """Every problem, each with the file or document that it is in."""
        return [
            (source, problem)
            for source, error in self.failures
            for problem in (error.problems or (Problem("", error.message, remedy=error.remedy),))
        ]
