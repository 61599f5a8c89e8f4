"""The first part of generate: the whole request is checked before anything is spent, and all faults are in one error.

Checked are: the store (writable, conditional writes); the teacher's endpoint, key and model; the base model (found, allowed,
loadable, with a usable chat template and the modules that training names); the adapter of another run; another run's or own
data; the output; the evaluation's JSON schema; the trackers, where this process can know; the budget. No check hides what
another one finds, and neither does one that cannot reach its place (75).
"""

from tunesmith_jobs.generate.preflight.run import preflight

__all__ = ["preflight"]
