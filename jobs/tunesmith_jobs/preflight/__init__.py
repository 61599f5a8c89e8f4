"""The whole request, checked before anything is spent: all that is wrong, in one error.

    preflight(stage)      # returns, or raises; says what the run will roughly need

Store writable and conditional; teacher's endpoint, key and model; base model found, allowed, loadable, with a usable chat template and
the modules that training names; another run's adapter fits; another run's or own data is there; output writable; the evaluation's JSON
schema valid; trackers installed, where this process can know; the budget enough. Each check says what it
found; one that cannot reach its place (75) hides none of the others.
"""

from tunesmith_jobs.preflight.run import preflight

__all__ = ["preflight"]
