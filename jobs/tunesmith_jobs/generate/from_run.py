"""Another run's dataset (`data.from`), copied into this run as it is, with its digest."""

from tunesmith.settings import Reference
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.other_run import result_of


def copy_dataset(attempt: Attempt, reference: Reference) -> Outcome:
    """Copy the newest dataset of the run that is named, and pin it. Raises BadRequest, Gone."""
    other = result_of(attempt, reference, stage="generate", path="spec.data.from")
    for name in other.names():
        attempt.put_file(name, other.path(name))
    source = f"{other.manifest.run}/{other.manifest.key}"
    attempt.say(f"copied {len(other.names())} files of the dataset {source}; its split is kept")
    return Outcome(metrics=other.manifest.metrics, details={**other.manifest.details, "from": source})
