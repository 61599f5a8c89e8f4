"""What clusters do to Jobs and pods on their way.

A container beside the stage's does not end; Jobs vanish as soon as they have ended, or before.
"""

import pytest
from reconcile_steps import done, later, line, look, made, play, rows, runs, sets

from tunesmith.events import Result
from tunesmith_controller.decide.model import Turn

BESIDE = sets("beside", "istio-proxy")
GONE_AT_ONCE = sets("gone_at_once", True)
PATIENCE = later(11)


def ends(code=0, *, reported=True, **more):
    """The stage's container ends; what stands beside it does not."""

    def step(cluster):
        told = Result(stage="generate", key="", exit_code=code, reason="Said", message="so it is", **more)
        cluster.ends(code, told.termination_message() if reported else None)

    return step


def others_end(cluster):
    cluster.others_end()


def restarted(cluster):
    cluster.forget()


def job_vanishes(cluster):
    cluster.delete_job(cluster.live()["metadata"]["name"])
    cluster.ends(143)


def vanishes_unstarted(cluster):
    cluster.delete_job(cluster.live()["metadata"]["name"])


def job_fails(cluster):
    cluster.condition("Failed", reason="BackoffLimitExceeded", message="it has failed too often")


def other_fails(cluster):
    """The container beside the stage's ends too, and not well: so the pod has failed."""
    pod = cluster.pods()[-1]
    pod["status"]["phase"] = "Failed"
    pod["status"]["containerStatuses"][1]["state"] = {"terminated": {"exitCode": 1}}
    cluster.put("pod", pod)


RUNNING = [BESIDE, look, runs, look]
LOST = [runs, look, job_vanishes, look]
TOO_OFTEN = [look, *[LOST] * 10]  # 6 retries, and 3 more

# what happens -> the last look: phase and reason, rows, Jobs made, Jobs deleted, pods deleted
CASES = {
    "a stage is done when its container is, though its pod lives on": (
        [RUNNING, ends(), PATIENCE, look],
        ("Running Starting", ["generate Succeeded 1", "train Pending 1"], ["train.1"], 1, 1),
    ),
    "what stands beside it may end by itself first": (
        [RUNNING, ends(), look],
        ("Running Running", ["generate Running 1"], [], 0, 0),
    ),
    "its pod that is slow to go does not hold up the next stage": (
        [RUNNING, ends(), PATIENCE, look, runs, later(11), look],
        ("Running Running", ["generate Succeeded 1", "train Running 1"], [], 0, 0),
    ),
    "a pod that has failed for another container's sake counts as done": (
        [RUNNING, ends(), other_fails, look],
        ("Running Starting", ["generate Succeeded 1", "train Pending 1"], ["train.1"], 1, 0),
    ),
    "a Job that has failed for another container's sake counts as done": (
        [RUNNING, ends(), other_fails, job_fails, look],
        ("Running Starting", ["generate Succeeded 1", "train Pending 1"], ["train.1"], 0, 0),
    ),
    "done without a message": (
        [RUNNING, ends(reported=False), PATIENCE, look],
        ("Running Starting", ["generate Succeeded 1", "train Pending 1"], ["train.1"], 1, 1),
    ),
    "a final failure is final at once": (
        [RUNNING, ends(78), PATIENCE, look],
        ("Failed Said", ["generate Failed 1"], [], 1, 1),
    ),
    "a final failure without a message is final, too": (
        [RUNNING, ends(78, reported=False), PATIENCE, look],
        ("Failed Crashed", ["generate Failed 1"], [], 1, 1),
    ),
    "another failure ends the pod, so that the Job counts it": (
        [RUNNING, ends(75), PATIENCE, look],
        ("Running Said", ["generate Running 1"], [], 0, 1),
    ),
    "but not before the others had time to end by themselves": (
        [RUNNING, ends(75), look],
        ("Running Said", ["generate Running 1"], [], 0, 0),
    ),
    "and only once": (
        [RUNNING, ends(75), PATIENCE, look, look],
        ("Running Said", ["generate Running 1"], [], 0, 0),
    ),
    "the Job then tries again": (
        [RUNNING, ends(75), PATIENCE, look, others_end, look, runs, look],
        ("Running Running", ["generate Running 1"], [], 0, 0),
    ),
    "a signal that nobody else knows of is counted as well": (
        [RUNNING, ends(143, reported=False), PATIENCE, look],
        ("Running Stopped", ["generate Running 1"], [], 0, 1),
    ),
    "when the Job has given up, the pods that are gone say why": (
        [RUNNING, ends(75), PATIENCE, look, others_end, job_fails, look],
        ("Failed Said", ["generate Failed 1"], [], 0, 0),
    ),
    "a Job that is done and gone counts": (
        [GONE_AT_ONCE, look, runs, look, done(), look],
        ("Running Starting", ["generate Succeeded 1", "train Pending 1"], ["train.1"], 0, 0),
    ),
    "a Job that is done and gone before anybody saw it run counts": (
        [GONE_AT_ONCE, look, done(), look],
        ("Running Starting", ["generate Succeeded 1", "train Pending 1"], ["train.1"], 0, 0),
    ),
    "a Job that has failed and is gone says why": (
        [GONE_AT_ONCE, look, runs, look, ends(75), job_fails, look],
        ("Failed Said", ["generate Failed 1"], [], 0, 0),
    ),
    "a Job whose pod had done its work when it went counts": (
        [look, runs, look, ends(), vanishes_unstarted, look],
        ("Running Starting", ["generate Succeeded 1", "train Pending 1"], ["train.1"], 0, 0),
    ),
    "a Job whose pod had given up when it went has failed": (
        [look, runs, look, ends(78), vanishes_unstarted, look],
        ("Failed Said", ["generate Failed 1"], [], 0, 0),
    ),
    "a controller that starts again has not seen how it ended: another attempt finds out": (
        [GONE_AT_ONCE, look, runs, look, done(), restarted, look],
        ("Pending Starting", ["generate Pending 2"], ["generate.2"], 0, 0),
    ),
    "a Job that vanishes before its pod has started is lost as well": (
        [look, vanishes_unstarted, look],
        ("Pending Starting", ["generate Pending 2"], ["generate.2"], 0, 0),
    ),
    "a Job that is lost six times gets another attempt": (
        [look, *[LOST] * 6],
        ("Pending Starting", ["generate Pending 7"], ["generate.7"], 0, 0),
    ),
    "but not for ever": (
        [TOO_OFTEN],
        ("Failed JobLost", ["generate Failed 10"], [], 0, 0),
    ),
    "a Job that had run for long is the first again": (
        [look, *[LOST] * 6, runs, later(11), look, later(700), job_vanishes, look],
        ("Pending Starting", ["generate Pending 8"], ["generate.8"], 0, 0),
    ),
}


@pytest.mark.parametrize(("steps", "expected"), CASES.values(), ids=CASES)
def test_after_what_a_cluster_has_done(steps, expected):
    _, decision = play(steps)
    assert (
        line(decision),
        rows(decision),
        made(decision),
        len(decision.deletes),
        len(decision.pods),
    ) == expected


def test_the_status_holds_what_is_done_before_its_job_is_deleted():
    cluster, _ = play([RUNNING, ends(), PATIENCE])
    decision = cluster.decide()
    status_first, delete, *_ = cluster.carry_out(cluster.request, decision)
    status_first()
    assert [entry["stage"] for entry in cluster.request["status"]["finished"]] == ["generate"]
    assert cluster.jobs()
    delete()
    assert "deletionTimestamp" in cluster.jobs()[0]["metadata"]


def test_what_keeps_a_pod_alive_is_named():
    cluster, decision = play([RUNNING, ends(), look])
    assert decision.status.stages[0].message == "done; container istio-proxy beside it keeps its pod alive"
    assert decision.requeue_after == 10.0
    for step in (PATIENCE, look, runs, look):
        step(cluster)
    row = cluster.request["status"]["stages"][0]
    assert row["message"] == "container istio-proxy beside it kept its pod alive, so its Job is deleted"
    _, decision = play([RUNNING, ends(75), PATIENCE, look])
    assert "container istio-proxy beside it keeps the pod alive" in decision.status.message


def test_a_gpu_counts_until_the_pod_that_holds_it_is_gone():
    spec = {"training.device": "cuda"}
    trains = [RUNNING, ends(), PATIENCE, look, others_end, runs, look]
    cluster, decision = play([trains, ends(), PATIENCE, look], spec=spec)
    assert made(decision) == ["merge.1"]
    assert decision.gpu
    cluster.others_end()
    assert not cluster.decide().gpu


def test_two_pods_out_of_memory_are_final_though_both_lived_on():
    def out_of_memory(cluster):
        cluster.ends(137, reason="OOMKilled")

    steps = [RUNNING, out_of_memory, PATIENCE, look, others_end, look, runs, look]
    steps += [out_of_memory, PATIENCE, look]
    _, decision = play(steps)
    assert line(decision) == "Failed OOMKilled"
    assert "for the second time" in decision.status.message


def test_a_job_that_is_lost_again_and_again_says_what_to_do():
    cluster, decision = play([TOO_OFTEN])
    assert decision.status.message.startswith("generate: Job riddles-generate-")
    assert "was deleted before it had ended, as were the 9 before it. What to do: find out who" in (
        decision.status.message
    )
    cluster.edit({"retry": "2"})
    assert made(cluster.look()) == ["generate.11"], "an edit tries again"
    assert "lost" not in cluster.request["status"]["stages"][0]


def test_a_suspension_is_not_a_loss():
    def suspend(cluster):
        cluster.edit({"suspend": True})

    def resume(cluster):
        cluster.edit({"suspend": False})

    def stops(cluster):
        cluster.ends(143)

    again = [runs, look, suspend, look, stops, look, resume, look]
    _, decision = play([look, *[again] * 8])
    assert line(decision) == "Pending Starting"
    assert decision.status.stages[0].lost == 0


def test_a_stage_whose_figures_the_gate_needs_runs_again_though_jobs_vanish():
    gate = {"evaluation.gate": {"leastGain": 0.1}}
    three = [[runs, look, done(), look]] * 3
    steps = [GONE_AT_ONCE, look, *three]
    _, decision = play([steps, runs, look, done(reported=False), look], spec=gate)
    assert made(decision) == ["evaluate.2"]
    _, decision = play([steps, *[[runs, look, done(reported=False), look]] * 3], spec=gate)
    assert line(decision) == "Failed GateNotPassed", "without figures for ever, the gate is not passed"


def test_so_it_does_though_its_pod_lives_on():
    gate = {"evaluation.gate": {"leastGain": 0.1}}
    three = [[runs, look, done(), look]] * 3
    steps = [look, *three, BESIDE, runs, look, ends(reported=False), PATIENCE, look]
    cluster, decision = play(steps, spec=gate)
    assert (rows(decision)[-1], len(decision.deletes)) == ("evaluate Stopping 1", 1)
    others_end(cluster)
    assert made(cluster.look()) == ["evaluate.2"]


@pytest.mark.parametrize("code", [0, 75])
def test_a_pod_that_is_gone_has_ended_whatever_its_last_state_shows(code):
    def killed_without_grace(cluster):
        cluster.drop("pod", cluster.pods()[-1]["metadata"]["name"])

    _, decision = play([RUNNING, ends(code), killed_without_grace, look])
    if code:
        assert (line(decision), decision.pods, decision.requeue_after) == ("Running Said", (), None)
    else:
        assert made(decision) == ["train.1"]


def test_a_turn_is_not_waited_for_between_two_stages_of_which_one_lives_on():
    cluster, _ = play([RUNNING, ends(), PATIENCE])
    cluster.turn = Turn(gpu=False, gpu_why="profile default runs 1 of its 1 Jobs with a GPU")
    assert cluster.decide().at_work
