"""Another run's dataset, copied as it is into this run, with its digest."""

from tunesmith_jobs.other_run import result_of
from tunesmith_jobs.stage import Outcome, Stage


def copy_dataset(stage: Stage) -> Outcome:
    """Copy the newest dataset of the run that `data.from` names; which one is pinned. Raises BadRequest, Gone."""
    reference = stage.spec.data.from_
    assert reference is not None
    other = result_of(stage, reference, "generate", "spec.data.from")
    for name in other.names():
        stage.put_file(name, other.path(name))
    source = f"{other.manifest.run}/{other.manifest.key}"
    stage.say(f"copied {len(other.names())} files of the dataset {source}; its split is kept")
    return Outcome(metrics=other.manifest.metrics, details={**other.manifest.details, "from": source})
