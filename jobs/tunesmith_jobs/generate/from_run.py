"""Another run's dataset, copied as it is into this run, with its digest."""

from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.other_run import result_of


def copy_dataset(attempt: Attempt) -> Outcome:
    """Copy the newest dataset of the run that `data.from` names; which one is pinned. Raises BadRequest, Gone."""
    reference = attempt.spec.data.from_
    assert reference is not None
    other = result_of(attempt, reference, "generate", "spec.data.from")
    for name in other.names():
        attempt.put_file(name, other.path(name))
    source = f"{other.manifest.run}/{other.manifest.key}"
    attempt.say(f"copied {len(other.names())} files of the dataset {source}; its split is kept")
    return Outcome(metrics=other.manifest.metrics, details={**other.manifest.details, "from": source})
