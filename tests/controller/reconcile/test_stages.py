"""Which stage is current, and which Job it gets: after some steps, the last look decides.

`look` also looks a second time.
"""

import pytest
from reconcile_steps import done, edit, fails, later, line, look, made, play, rows, runs, sets, stage_done

from tunesmith.events import Result
from tunesmith_controller.decide.objects import rfc3339

ALL_BUT_EVALUATE = [look, stage_done(), stage_done(), stage_done()]
GATE = edit(evaluation={"gate": {"leastGain": 0.1}})
ALL = [ALL_BUT_EVALUATE, stage_done()]


def unsaid(cluster):
    cluster.complete(reported=False)


def job_vanishes(cluster):
    job = cluster.live()
    for pod in cluster.pods():
        cluster.drop("pod", pod["metadata"]["name"])
    cluster.drop("job", job["metadata"]["name"])


def done_jobs_vanish(cluster):
    for job in cluster.jobs():
        cluster.delete_job(job["metadata"]["name"])


def job_never_made(cluster):
    cluster.drop("job", cluster.live()["metadata"]["name"])
    cluster.forget()


def deleted(cluster):
    cluster.delete_job(cluster.live()["metadata"]["name"])


def pod_stops(cluster):
    cluster.ends(143)


def retried(cluster):
    """The Job's pod ends with 75 and the Job waits before the next one."""
    reported = Result(
        stage="generate", key="", exit_code=75, reason="TeacherAway", message="the teacher does not answer"
    )
    cluster.ends(75, reported.termination_message())


def pod_gives_up(cluster):
    reported = Result(
        stage="generate", key="", exit_code=78, reason="BaseNotFound", message="there is no such model"
    )
    cluster.ends(78, reported.termination_message())


def next_pod_waits(cluster):
    """The Job's next pod, which no node takes."""
    cluster.later(10)
    cluster.add_pod()


def job_fails_unseen(cluster):
    """The Job gives up while nobody looks."""
    cluster.ends(1)
    cluster.condition("Failed", reason="BackoffLimitExceeded", message="it has failed too often")


def pods_unseen(cluster):
    """The watch of pods is behind that of Jobs: the newest pod still runs."""
    cluster.run()
    cluster.condition("Complete")


def pod_succeeds(cluster):
    cluster.ends(0)


def node_dies(cluster):
    """The pod is deleted, and no kubelet ends it."""
    pod = cluster.pods()[-1]
    pod["metadata"]["deletionTimestamp"] = rfc3339(cluster.now)
    pod["spec"]["nodeName"] = "gpu-7"
    cluster.put("pod", pod)


def out_of_memory(cluster):
    cluster.ends(137, reason="OOMKilled")


def done_with_later(cluster):
    snapshot = cluster.snapshot(cluster.request).snapshot
    cluster.complete({}, done={stage: snapshot.key(stage) for stage in ("train", "merge")})


# what happens -> the last look: phase and reason, rows, Jobs made, Jobs deleted
CASES = {
    "a new request gets its first stage only": (
        [look],
        (
            "Pending Starting",
            ["generate Pending 1"],
            ["generate.1"],
            0,
        ),
    ),
    "a running stage is left alone": (
        [look, runs, look],
        (
            "Running Running",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "the second stage starts when the first is done, in the same look": (
        [look, runs, look, done(), look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Pending 1"],
            ["train.1"],
            0,
        ),
    ),
    "a Job that is done before anybody saw it run counts": (
        [look, done(), look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Pending 1"],
            ["train.1"],
            0,
        ),
    ),
    "a Job that is done without a message counts": (
        [look, runs, unsaid, look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Pending 1"],
            ["train.1"],
            0,
        ),
    ),
    "four stages make a request": (
        [ALL],
        (
            "Succeeded Complete",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded 1", "evaluate Succeeded 1"],
            [],
            0,
        ),
    ),
    "finished Jobs may vanish": (
        [ALL, done_jobs_vanish, look],
        (
            "Succeeded Complete",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded 1", "evaluate Succeeded 1"],
            [],
            0,
        ),
    ),
    "stages that the store holds already get no Job": (
        [look, done_with_later, look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Succeeded", "merge Succeeded", "evaluate Pending 1"],
            ["evaluate.1"],
            0,
        ),
    ),
    "a pod that is tried again keeps its Job": (
        [look, runs, look, retried, look],
        (
            "Running TeacherAway",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "a pod that has given up keeps its log: the Job fails by itself": (
        [look, runs, look, pod_gives_up, look],
        (
            "Running BaseNotFound",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "out of memory once is tried again": (
        [look, runs, look, out_of_memory, look, runs, look],
        (
            "Running Running",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "out of memory twice is final": (
        [look, runs, look, out_of_memory, look, later(1), runs, look, out_of_memory, look],
        (
            "Failed OOMKilled",
            ["generate Failed 1"],
            [],
            1,
        ),
    ),
    "a Job that vanished while it ran gets a new attempt": (
        [look, runs, look, job_vanishes, look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "a Job that was never seen is made again under its name": (
        [look, job_never_made, look],
        (
            "Pending Starting",
            ["generate Pending 1"],
            ["generate.1"],
            0,
        ),
    ),
    "a Job that somebody deletes is waited for": (
        [look, runs, look, deleted, look],
        (
            "Pending Stopping",
            ["generate Stopping 1"],
            [],
            0,
        ),
    ),
    "a Job that somebody deleted gets a new attempt when it is gone": (
        [look, runs, look, deleted, look, pod_stops, look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "a failed stage ends the request": (
        [look, runs, look, fails(), look],
        (
            "Failed BadRequest",
            ["generate Failed 1"],
            [],
            0,
        ),
    ),
    "a failure stays though its Job is gone": (
        [look, runs, look, fails(), look, done_jobs_vanish, later(3600), look],
        (
            "Failed BadRequest",
            ["generate Failed 1"],
            [],
            0,
        ),
    ),
    "retry gives a failed stage another attempt under its key": (
        [look, runs, look, fails(), look, edit(retry="again"), look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "any edit gives a failed stage another attempt": (
        [look, runs, look, fails(), look, edit(stages__generate__retries=7), look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "retry runs no stage again that is done": (
        [look, stage_done(), runs, look, fails(), look, edit(retry="again"), look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Pending 2"],
            ["train.2"],
            0,
        ),
    ),
    "an edit of merge on a finished request runs merge and evaluate": (
        [ALL, edit(merge={"dtype": "float16"}), look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Succeeded 1", "merge Pending 1"],
            ["merge.1"],
            0,
        ),
    ),
    "changing back starts nothing": (
        [ALL, edit(merge={"dtype": "float16"}), look, stage_done(), stage_done(), edit(merge={}), look],
        (
            "Succeeded Complete",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded", "evaluate Succeeded"],
            [],
            0,
        ),
    ),
    "changing back while the new key runs deletes its Job": (
        [ALL, edit(merge={"dtype": "float16"}), look, runs, look, edit(merge={}), look],
        (
            "Succeeded Complete",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded", "evaluate Succeeded"],
            [],
            1,
        ),
    ),
    "rerun runs a finished stage again, and those after it": (
        [ALL, edit(rerun={"from": "merge", "id": "1"}), look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Succeeded 1", "merge Pending 1"],
            ["merge.1"],
            0,
        ),
    ),
    "an edit under a running stage that changes its key stops it first": (
        [look, stage_done(), runs, look, edit(training={"loraR": 8}), look],
        (
            "Pending Stopping",
            ["generate Succeeded 1"],
            [],
            1,
        ),
    ),
    "the new key starts when the old one's pod is gone": (
        [look, stage_done(), runs, look, edit(training={"loraR": 8}), look, pod_stops, look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Pending 1"],
            ["train.1"],
            0,
        ),
    ),
    "an edit of a later stage does not disturb the running one": (
        [look, stage_done(), runs, later(11), look, edit(merge={"dtype": "float16"}), look],
        (
            "Running Running",
            ["generate Succeeded 1", "train Running 1"],
            [],
            0,
        ),
    ),
    "more memory does not disturb a running pod": (
        [look, runs, look, edit(stages={"generate": {"resources": {"limits": {"memory": "9Gi"}}}}), look],
        (
            "Running Running",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "more memory replaces a Job whose pod has not run": (
        [look, edit(stages={"generate": {"resources": {"limits": {"memory": "9Gi"}}}}), look, look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "retry replaces a Job whose pod has not run": (
        [look, edit(retry="again"), look, look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "more memory replaces a Job between two pods": (
        [
            look,
            runs,
            look,
            retried,
            look,
            edit(stages={"generate": {"resources": {"limits": {"memory": "9Gi"}}}}),
            look,
            look,
        ],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "more memory replaces a Job whose second pod does not start": (
        [
            look,
            runs,
            look,
            out_of_memory,
            next_pod_waits,
            look,
            edit(stages={"generate": {"resources": {"limits": {"memory": "9Gi"}}}}),
            look,
            look,
        ],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "retry replaces a Job whose second pod does not start": (
        [look, runs, look, out_of_memory, next_pod_waits, look, edit(retry="again"), look, look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "what was fixed while the stage ran counts when it fails": (
        [
            look,
            runs,
            look,
            edit(stages={"generate": {"resources": {"limits": {"memory": "9Gi"}}}}),
            look,
            job_fails_unseen,
            look,
        ],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "a retry from before the failure was seen counts": (
        [look, runs, look, job_fails_unseen, edit(retry="again"), look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "more retries from before the failure was seen count": (
        [look, runs, look, job_fails_unseen, edit(stages={"generate": {"retries": 7}}), look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "an edit that the pod would not notice does not undo a failure": (
        [look, runs, look, job_fails_unseen, edit(ttlSecondsAfterFinished=7), look],
        (
            "Failed Crashed",
            ["generate Failed 1"],
            [],
            0,
        ),
    ),
    "an edit that the pod would not notice replaces nothing": (
        [look, edit(ttlSecondsAfterFinished=7), look],
        (
            "Pending Starting",
            ["generate Pending 1"],
            [],
            0,
        ),
    ),
    "suspended before it begins, nothing is made": (
        [edit(suspend=True), look],
        (
            "Suspended Suspended",
            [],
            [],
            0,
        ),
    ),
    "suspend deletes the running Job": (
        [look, runs, look, edit(suspend=True), look],
        (
            "Suspended Suspended",
            ["generate Stopping 1"],
            [],
            1,
        ),
    ),
    "a suspended stage has no Job": (
        [look, runs, look, edit(suspend=True), look, pod_stops, look],
        (
            "Suspended Suspended",
            ["generate Pending 1"],
            [],
            0,
        ),
    ),
    "resume makes the next attempt": (
        [look, runs, look, edit(suspend=True), look, pod_stops, look, edit(suspend=False), look],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "resume waits until the suspended pod is gone": (
        [look, runs, look, edit(suspend=True), look, edit(suspend=False), look],
        (
            "Pending Stopping",
            ["generate Stopping 1"],
            [],
            0,
        ),
    ),
    "suspended between two stages, the second does not start": (
        [look, runs, look, done(), edit(suspend=True), look],
        (
            "Suspended Suspended",
            ["generate Succeeded 1"],
            [],
            0,
        ),
    ),
    "a finished request that is suspended stays finished": (
        [ALL, edit(suspend=True), look],
        (
            "Succeeded Complete",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded 1", "evaluate Succeeded 1"],
            [],
            0,
        ),
    ),
    "a stage that ends while it is being stopped is done": (
        [look, runs, look, edit(suspend=True), done(), look],
        (
            "Suspended Suspended",
            ["generate Succeeded 1"],
            [],
            0,
        ),
    ),
    "the deadline counts running, not waiting": (
        [
            edit(stages={"generate": {"activeDeadlineSeconds": 100}}),
            look,
            later(500),
            look,
            runs,
            look,
            later(99),
            look,
        ],
        (
            "Running Running",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "past its deadline a stage is stopped and fails": (
        [edit(stages={"generate": {"activeDeadlineSeconds": 100}}), look, runs, look, later(100), look],
        (
            "Failed DeadlineExceeded",
            ["generate Failed 1"],
            [],
            1,
        ),
    ),
    "work that is done is not too late": (
        [
            edit(stages={"generate": {"activeDeadlineSeconds": 100}}),
            look,
            runs,
            look,
            later(100),
            pod_succeeds,
            look,
        ],
        (
            "Running Running",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "work that is done is not suspended": (
        [look, runs, look, pod_succeeds, edit(suspend=True), look],
        (
            "Running Running",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "a pod that its node does not end is told": (
        [look, runs, look, node_dies, later(60), look],
        (
            "Running NodeLost",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "a pod that is being ended is given its time": (
        [look, runs, look, node_dies, later(59), look],
        (
            "Running Running",
            ["generate Running 1"],
            [],
            0,
        ),
    ),
    "a stage that is stopped on a lost node says so": (
        [look, runs, look, edit(suspend=True), look, node_dies, later(60), edit(suspend=False), look],
        (
            "Pending NodeLost",
            ["generate Stopping 1"],
            [],
            0,
        ),
    ),
    "with a gate, evaluate's figures are waited for": (
        [GATE, ALL_BUT_EVALUATE, pods_unseen, look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded 1", "evaluate Pending 1"],
            [],
            0,
        ),
    ),
    "with a gate, an evaluate whose figures are lost tells them again": (
        [GATE, ALL_BUT_EVALUATE, runs, look, unsaid, look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded 1", "evaluate Pending 2"],
            ["evaluate.2"],
            0,
        ),
    ),
    "with a gate, the third evaluate may tell them": (
        [GATE, ALL_BUT_EVALUATE, [runs, look, unsaid, look] * 2, runs, later(11), look],
        (
            "Running Running",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded 1", "evaluate Running 3"],
            [],
            0,
        ),
    ),
    "with a gate, figures that are lost three times are not passed": (
        [GATE, ALL_BUT_EVALUATE, [runs, look, unsaid, look] * 3, done_jobs_vanish, look],
        (
            "Failed GateNotPassed",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded 1", "evaluate Succeeded 3"],
            [],
            0,
        ),
    ),
    "a gate that is added when evaluate's figures are lost makes it tell them": (
        [ALL_BUT_EVALUATE, runs, look, unsaid, look, GATE, look],
        (
            "Running Starting",
            ["generate Succeeded 1", "train Succeeded 1", "merge Succeeded 1", "evaluate Pending 2"],
            ["evaluate.2"],
            0,
        ),
    ),
    "a longer deadline starts another pod when the first one is gone": (
        [
            edit(stages={"generate": {"activeDeadlineSeconds": 100}}),
            [look, runs, look, later(100), look],
            edit(stages={"generate": {"activeDeadlineSeconds": 900}}),
            [look, pod_stops, look],
        ],
        (
            "Pending Starting",
            ["generate Pending 2"],
            ["generate.2"],
            0,
        ),
    ),
    "another request that works on the run is waited for": (
        [sets("run_taken_by", "elder"), look],
        (
            "Pending RunTaken",
            [],
            [],
            0,
        ),
    ),
    "the run is free again": (
        [sets("run_taken_by", "elder"), look, sets("run_taken_by", ""), look],
        (
            "Pending Starting",
            ["generate Pending 1"],
            ["generate.1"],
            0,
        ),
    ),
}


@pytest.mark.parametrize(("steps", "expected"), CASES.values(), ids=CASES)
def test_after_what_has_happened(steps, expected):
    _, decision = play(steps)
    assert (line(decision), rows(decision), made(decision), len(decision.deletes)) == expected
