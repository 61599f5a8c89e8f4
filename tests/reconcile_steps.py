"""What happens to a request, in words, and what a decision says of it in one line: for tables of tests."""

from small_cluster import Cluster

from tunesmith import wire


def look(cluster):
    return cluster.look()


def runs(cluster):
    cluster.run()


def later(seconds):
    return lambda cluster: cluster.later(seconds)


def done(metrics=None, **more):
    return lambda cluster: cluster.complete(metrics, **more)


def fails(**result):
    return lambda cluster: cluster.fail(**result)


def edit(**changes):
    return lambda cluster: cluster.edit({path.replace("__", "."): value for path, value in changes.items()})


def sets(name, value):
    return lambda cluster: setattr(cluster, name, value)


def stage_done(metrics=None, **more):
    """The current stage runs and ends well, and the controller sees it."""
    return [runs, look, done(metrics, **more), look]


def flat(steps):
    for step in steps:
        if isinstance(step, list | tuple):
            yield from flat(step)
        else:
            yield step


def play(steps, **start):
    """The cluster after the steps, and the decision of the last look."""
    cluster = Cluster(**start)
    decision = None
    for step in flat(steps):
        result = step(cluster)
        decision = result if step is look else decision
    return cluster, decision


def made(decision):
    """Jobs that a decision makes, as `stage.attempt`."""
    return [_short(item) for item in decision.creates if item["kind"] == "Job"]


def rows(decision):
    """`stage phase[ attempt]` for each row that has begun; the others are Pending and have had no attempt."""
    texts = [f"{row.name} {row.phase} {row.attempt or ''}".strip() for row in decision.status.stages]
    return [text for text in texts if not text.endswith(" Pending")]


def line(decision):
    """Phase and reason."""
    return f"{decision.status.phase} {decision.status.reason}"


def conditions(status):
    """Types of the conditions that are True, and with `!` those that are False."""
    marks = {"True": "", "False": "!"}
    return [f"{marks[entry.status]}{entry.type}" for entry in status.conditions if entry.status in marks]


def condition(status, kind):
    return next(entry for entry in status.conditions if entry.type == kind)


def _short(job):
    labels = job["metadata"]["labels"]
    return f"{labels[wire.STAGE]}.{labels[wire.ATTEMPT]}"
