"""Which changes of a Job or pod are looked at without delay."""

import pytest

from tunesmith_controller.decide.changes import decides


def job(*conditions, deleted=False, **status):
    metadata = {"deletionTimestamp": "2026-11-23T12:00:00Z"} if deleted else {}
    told = [{"type": name, "status": "True"} for name in conditions]
    return {"kind": "Job", "metadata": metadata, "status": {"conditions": told, **status}}


def pod(phase="Pending", deleted=False, **state):
    metadata = {"deletionTimestamp": "2026-11-23T12:00:00Z"} if deleted else {}
    containers = [{"name": "stage", "state": state}]
    return {"kind": "Pod", "metadata": metadata, "status": {"phase": phase, "containerStatuses": containers}}


WAITING = pod(waiting={"reason": "ContainerCreating"})
RUNNING = pod("Running", running={"startedAt": "2026-11-23T12:00:00Z"})
CHANGES = {
    "a Job is made": (None, job(), False),
    "a Job has a pod": (job(), job(active=1), False),
    "a pod of a Job has failed": (job(), job(failed=1), True),
    "a Job is done": (job(active=1), job("SuccessCriteriaMet", "Complete"), True),
    "a Job that is done already is seen first": (None, job("Complete"), True),
    "a Job has given up": (job(failed=1), job("FailureTarget", "Failed", failed=1), True),
    "a Job is to go": (job(), job(deleted=True), True),
    "a Job is gone": (job("Complete"), None, True),
    "a pod is made": (None, pod(), False),
    "a pod has a node": (pod(), WAITING, False),
    "an image cannot be pulled, which may pass": (WAITING, pod(waiting={"reason": "ErrImagePull"}), False),
    "a container starts": (WAITING, RUNNING, True),
    "a container has ended well, and its Job says so soon": (
        RUNNING,
        pod("Succeeded", terminated={"exitCode": 0}),
        False,
    ),
    "a container has failed": (RUNNING, pod("Failed", terminated={"exitCode": 75}), True),
    "a pod is to go": (RUNNING, pod("Running", deleted=True, running={}), True),
    "a pod is gone": (RUNNING, None, True),
}


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_change(before, after, expected):
    assert decides(before, after) is expected
