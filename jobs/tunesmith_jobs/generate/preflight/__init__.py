"""The first part of generate: the whole request is checked before anything is spent.

One error names everything that is wrong with:

- the store, which must be writable, with conditional writes; the output; another run's or own data
- the teacher's endpoint, key and model, and the budget
- the base model: whether it is there, allowed and loadable, with a usable chat template and the modules that
  training names; and another run's adapter for it
- what answers must look like, and the trackers, where this process can know

No check hides what another one finds, not even one that cannot reach its place (75).
"""

from tunesmith_jobs.generate.preflight.run import preflight

__all__ = ["preflight"]
