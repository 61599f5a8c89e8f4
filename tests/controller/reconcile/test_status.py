"""The status: progress, results, conditions, the queue, the gate, Events, and when to look again."""

import json
import math
from datetime import timedelta

import pytest
from reconcile_steps import (
    condition,
    conditions,
    done,
    edit,
    fails,
    flat,
    later,
    line,
    look,
    made,
    play,
    rows,
    runs,
    sets,
    stage_done,
)
from small_cluster import START, config, profile

from tunesmith.crd import schema_of
from tunesmith.events import Progress
from tunesmith.profile import Allow
from tunesmith.stages import STAGES
from tunesmith.status import FinishedStage, Outputs, Status
from tunesmith.wire import TEACHER_RATE
from tunesmith_controller.applied import status_json
from tunesmith_controller.decide.model import Event, Note, Share, Turn
from tunesmith_controller.decide.objects import rfc3339

ALL = [
    look,
    stage_done(),
    stage_done({"loss": 1.25}),
    stage_done(),
    stage_done({"lossGain": 0.5, "lossGainLow": 0.2, "rows": 10}),
]
ENDS = ("Complete", "Failed", "Reconciling", "Stalled")


def progress(stage="train", done=12, total=30, unit="steps", **more):
    def step(cluster):
        uid = next(pod["metadata"]["uid"] for pod in cluster.pods() if pod["status"]["phase"] == "Running")
        cluster.progress = {uid: Progress(stage=stage, done=done, total=total, unit=unit, **more)}

    return step


def test_of_a_running_stage_the_status_tells_progress_loss_and_when_it_ends():
    progressed = progress(phase="train", eta=600, metrics={"loss": 1.2345, "tokensPerSecond": 50.0})
    _, decision = play([look, stage_done(), runs, look, progressed, look])
    status = decision.status
    assert (status.stage, status.progress, status.percent, status.loss) == ("train", 40, "40%", "1.234")
    assert status.eta == rfc3339(START + timedelta(seconds=600))
    assert status.message == "train: 12 of 30 steps, loss 1.234"
    assert status.stages[1].metrics == {"loss": 1.2345, "tokensPerSecond": 50.0}


def test_progress_is_never_a_hundred_before_the_stage_is_done():
    _, decision = play([look, runs, look, progress("generate", 7, 7, "rows"), look])
    assert decision.status.progress == 99


def test_a_metric_that_json_cannot_hold_is_left_out():
    _, decision = play(
        [
            look,
            runs,
            look,
            progress("generate", 1, 7, "rows", metrics={"loss": float("nan"), "usd": 0.5}),
            look,
        ]
    )
    json.dumps(status_json(decision.status), allow_nan=False)
    assert decision.status.stages[0].metrics == {"usd": 0.5}


MANY = {f"m{number}": 1.0 for number in range(1000)} | {"n" * 1000: 1.0}
BOUNDLESS = {  # what others say without a bound -> how it comes to the status
    "a refusal": [look, sets("failed_to_create", "x" * 1_000_000), look],
    "a message of a stage": [look, runs, look, fails(message="x" * 1_000_000), look],
    "a phase of a stage": [look, runs, look, progress("generate", phase="x" * 100), look],
    "figures of a stage while it runs": [look, runs, look, progress("generate", metrics=MANY), look],
    "figures of a stage that is done": [look, runs, look, done(MANY), look],
}


@pytest.mark.parametrize("steps", BOUNDLESS.values(), ids=BOUNDLESS)
def test_whatever_others_say_the_status_stays_within_its_bounds(steps):
    _, decision = play(steps)
    written = status_json(decision.status)
    assert Status.model_validate_json(json.dumps(written)) == decision.status
    assert len(json.dumps(written)) < 300_000
    assert list(beyond(schema_of(Status), written)) == []


def beyond(schema, value, path="status"):
    """Paths at which a value is beyond a bound of its schema."""
    if len(value if isinstance(value, str) else ()) > schema.get("maxLength", math.inf):
        yield path
    if isinstance(value, int | float) and not (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
    ):
        yield path
    if isinstance(value, list):
        if len(value) > schema["maxItems"]:
            yield path
        for item in value:
            yield from beyond(schema["items"], item, f"{path}[]")
    if isinstance(value, dict):
        if len(value) > schema.get("maxProperties", math.inf):
            yield path
        for name, member in value.items():
            inner = schema["properties"][name] if "properties" in schema else schema["additionalProperties"]
            yield from beyond(inner, member, f"{path}.{name}")


def test_a_status_that_an_older_release_wrote_longer_is_read_all_the_same():
    old = Status.model_validate_json(json.dumps({"message": "x" * 100_000, "run": "riddles-1"}))
    assert (len(old.message), old.run) == (32_768, "riddles-1")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e300])
def test_seconds_that_cannot_be_count_as_none(seconds):
    assert FinishedStage(stage="train", key="k", seconds=seconds).seconds == 0


def test_a_status_keeps_no_figures_but_those_that_stages_are_known_to_report():
    """A pod can print any name, and a status must not grow by it."""
    forged = {f"x{number}": 1.0 for number in range(100)} | {"loss": 2.0}
    _, decision = play([look, runs, look, progress("generate", 1, 7, "rows", metrics=forged), look])
    assert decision.status.stages[0].metrics == {"loss": 2.0}
    _, decision = play([look, stage_done(forged), look])
    assert decision.status.finished[0].metrics == {"loss": 2.0}


def test_what_a_stage_says_of_own_data_is_in_the_status():
    read = "read s3://b/rows.jsonl: sha256 ab12, 1,234 bytes, version 7"

    def done(cluster):
        cluster.complete(note=read)

    _, decision = play([look, done, look])
    assert decision.status.finished[0].note == read
    assert decision.status.stages[0].message == read


def test_the_end_that_is_foreseen_is_not_written_anew_for_seconds():
    cluster, before = play([look, runs, look, progress("generate", 1, 7, "rows", eta=600), look])
    cluster.later(30)
    progress("generate", 1, 7, "rows", eta=590)(cluster)
    assert cluster.look().status == before.status
    cluster.later(600)
    assert cluster.look().status.eta == rfc3339(START + timedelta(seconds=1220))


def test_results_are_the_folders_of_the_stages_that_are_done():
    _, decision = play([look, stage_done(), stage_done()])
    base = "s3://bucket/runs/team/riddles-00000000"
    generate, train = (row.key for row in decision.status.stages[:2])
    assert decision.status.outputs == Outputs(
        dataset=f"{base}/generate/{generate}/", adapter=f"{base}/train/{train}/", model="", report=""
    )


def test_a_delivered_model_is_where_output_says():
    settings = config(default=profile(allow=Allow(outputs=("s3://models/*",))))
    cluster, decision = play([ALL], spec={"output": "s3://models/riddles"}, settings=settings)
    assert (line(decision), made(decision)) == ("Running Starting", ["deliver.1"])
    cluster.complete()
    decision = cluster.look()
    assert (line(decision), decision.status.outputs.model) == ("Succeeded Complete", "s3://models/riddles")


def test_nothing_is_delivered_that_did_not_pass_the_gate():
    settings = config(default=profile(allow=Allow(outputs=("s3://models/*",))))
    spec = {"output": "s3://models/riddles", "evaluation.gate": {"leastGain": 0.3}}
    _, decision = play([ALL], spec=spec, settings=settings)
    assert (line(decision), made(decision), rows(decision)[-1]) == (
        "Failed GateNotPassed",
        [],
        "evaluate Succeeded 1",
    )


# steps -> conditions that are True, and with `!` those that are False
CONDITIONS = {
    "new": ([look], ["Accepted", "Reconciling", "!Stalled"]),
    "running": ([look, runs, look], ["Accepted", "!Reconciling", "!Stalled"]),
    "one stage done": ([look, stage_done()], ["Accepted", "Generated", "!Reconciling", "!Stalled"]),
    "suspended before the start": ([edit(suspend=True), look], ["Accepted", "!Reconciling", "!Stalled"]),
    "succeeded": (
        [ALL],
        [
            "Accepted",
            "Generated",
            "Trained",
            "Merged",
            "Evaluated",
            "Complete",
            "!Failed",
            "!Reconciling",
            "!Stalled",
        ],
    ),
    "failed": (
        [look, stage_done(), runs, look, fails(), look],
        ["Accepted", "Generated", "!Trained", "!Complete", "Failed", "!Reconciling", "Stalled"],
    ),
    "a retry clears the failure": (
        [look, stage_done(), runs, look, fails(), look, edit(retry="1"), look],
        ["Accepted", "Generated", "!Reconciling", "!Stalled"],
    ),
    "the gate is not passed": (
        [edit(evaluation={"gate": {"leastGain": 0.3}}), ALL],
        [
            "Accepted",
            "Generated",
            "Trained",
            "Merged",
            "Evaluated",
            "!Complete",
            "Failed",
            "!Reconciling",
            "Stalled",
        ],
    ),
}


@pytest.mark.parametrize(("steps", "expected"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions(steps, expected):
    _, decision = play(steps)
    assert conditions(decision.status) == expected
    assert len(decision.status.conditions) == 5 + len(STAGES), "every type is there from the first write on"
    assert {entry.observed_generation for entry in decision.status.conditions} == {
        decision.status.observed_generation
    }


def test_the_time_of_a_condition_moves_only_with_its_status():
    cluster, _ = play([look, later(100), runs, look])
    again = cluster.look()
    assert condition(again.status, "Accepted").last_transition_time == rfc3339(START)
    assert condition(again.status, "Reconciling").last_transition_time == rfc3339(
        START + timedelta(seconds=100)
    )


GATES = {
    "passed": ({"leastGain": 0.1}, "Succeeded Complete"),
    "not passed": ({"leastGain": 0.3}, "Failed GateNotPassed"),
}


@pytest.mark.parametrize(("gate", "expected"), GATES.values(), ids=GATES)
def test_the_gate_compares_the_lower_bound(gate, expected):
    _, decision = play([edit(evaluation={"gate": gate}), ALL])
    assert line(decision) == expected


def test_another_gate_runs_nothing_again():
    cluster, decision = play(
        [
            edit(evaluation={"gate": {"leastGain": 0.3}}),
            ALL,
            edit(evaluation={"gate": {"leastGain": 0.1}}),
            look,
        ]
    )
    assert (line(decision), made(decision)) == ("Succeeded Complete", [])
    cluster.edit({"evaluation": {"gate": {"leastGain": 0.9}}})
    assert line(cluster.look()) == "Failed GateNotPassed"


def test_with_a_gate_evaluate_that_the_store_holds_gets_a_job_to_tell_its_figures():
    def done_with_all(cluster):
        snapshot = cluster.snapshot(cluster.request).snapshot
        cluster.complete({}, done={stage: snapshot.key(stage) for stage in ("train", "merge", "evaluate")})

    _, gated = play([edit(evaluation={"gate": {"leastGain": 0.1}}), look, done_with_all, look])
    _, free = play([look, done_with_all, look])
    assert (made(gated), line(free)) == (["evaluate.1"], "Succeeded Complete")


def test_a_failure_says_what_happened_in_which_pod_and_what_to_do():
    failure = fails(
        code=66, reason="BaseNotFound", message="hf://org/model is not there", remedy="name another one"
    )
    cluster, decision = play([look, runs, look, failure, look])
    row = decision.status.stages[0]
    assert (row.reason, row.failures, row.failed_generation, row.pod) == (
        "BaseNotFound",
        1,
        1,
        cluster.pods()[0]["metadata"]["name"],
    )
    for text in ("hf://org/model is not there", row.pod, "name another one"):
        assert text in decision.status.message
    stalled = condition(decision.status, "Stalled")
    assert (stalled.reason, stalled.message) == ("BaseNotFound", decision.status.message)


def test_why_a_pod_does_not_start_is_said_while_it_waits():
    def unschedulable(cluster):
        why = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes: 3 Insufficient nvidia.com/gpu",
        }
        cluster.add_pod(conditions=[why])

    _, decision = play([look, stage_done(), unschedulable, look])
    assert (decision.status.phase, rows(decision)[1]) == ("Pending", "train Pending 1")
    assert "nvidia.com/gpu" in decision.status.message
    assert decision.requeue_after is not None
    assert decision.at_work, "it keeps its place"


def test_a_quota_that_is_used_up_is_said():
    def quota(cluster):
        uid = cluster.live()["metadata"]["uid"]
        cluster.events = {
            uid: [
                Event(
                    "FailedCreate",
                    'pods "x" is forbidden: exceeded quota: gpus, requested: pods=1, used: pods=4, limited: '
                    "pods=4",
                )
            ]
        }

    _, decision = play([look, quota, look])
    assert (decision.status.phase, "quota gpus of namespace team is used up" in decision.status.message) == (
        "Pending",
        True,
    )


FORBIDDEN = "Job j cannot be created: Forbidden: jobs.batch is forbidden: "
REFUSED = {
    "a policy": ("no label cost-centre", "FailedToCreate", FORBIDDEN + "no label cost-centre"),
    "a quota": (
        "exceeded quota: jobs, requested: count/jobs.batch=1, used: count/jobs.batch=9, "
        "limited: count/jobs.batch=9",
        "QuotaExceeded",
        "Job j cannot be created: quota jobs of namespace team is used up: count/jobs.batch=1 asked for, "
        "count/jobs.batch=9 used of count/jobs.batch=9. What to do: delete requests that",
    ),
}


@pytest.mark.parametrize(("why", "reason", "message"), REFUSED.values(), ids=REFUSED)
def test_what_the_api_server_refuses_is_said_and_tried_again(why, reason, message):
    def refused(cluster):
        cluster.drop("job", cluster.live()["metadata"]["name"])
        cluster.forget()
        cluster.failed_to_create = FORBIDDEN + why

    cluster, _ = play([look, refused])
    decision = cluster.decide()
    assert (line(decision), made(decision)) == (f"Pending {reason}", ["generate.1"])
    assert message in decision.status.message
    assert decision.requeue_after == 30.0


# turn -> phase and reason, place, Jobs, whether it counts as running
TURNS = {
    "in the queue": (
        Turn(place=3, why="profile default has reached its limit (limits.requests: 2)"),
        "Queued WaitingForTurn",
        3,
        [],
        False,
    ),
    "its turn": (Turn(), "Pending Starting", 0, ["generate.1"], True),
    "no GPU is free, but generate needs none": (
        Turn(gpu=False, gpu_why="none"),
        "Pending Starting",
        0,
        ["generate.1"],
        True,
    ),
}


@pytest.mark.parametrize(("turn", "expected", "place", "jobs", "at_work"), TURNS.values(), ids=TURNS)
def test_limits_hold_a_new_request(turn, expected, place, jobs, at_work):
    _, decision = play([sets("turn", turn), look])
    assert (line(decision), decision.status.queue_place, made(decision), decision.at_work) == (
        expected,
        place,
        jobs,
        at_work,
    )
    assert turn.why in decision.status.message


def test_train_waits_for_a_gpu_and_keeps_its_place():
    full = Turn(gpu=False, gpu_why="profile default runs 4 of its 4 Jobs with a GPU")
    cluster, decision = play([look, sets("turn", full), stage_done()])
    assert (line(decision), made(decision), decision.at_work, decision.gpu) == (
        "Queued WaitingForGPU",
        [],
        True,
        False,
    )
    assert full.gpu_why in decision.status.message
    cluster.turn = None
    decision = cluster.look()
    assert (made(decision), decision.gpu, decision.generating) == (["train.1"], True, False)


def test_a_request_at_work_keeps_its_place_between_two_stages():
    _, decision = play([look, runs, look, sets("turn", Turn()), done(), look])
    assert (made(decision), decision.at_work) == (["train.1"], True)


def test_a_resumed_request_queues_again():
    suspended = [look, edit(suspend=True), look, look]
    _, decision = play([suspended, edit(suspend=False), sets("turn", Turn(place=1, why="full")), look])
    assert (line(decision), decision.at_work) == ("Queued WaitingForTurn", False)


def test_the_share_of_the_teacher_reaches_the_pod():
    _, decision = play([sets("turn", Turn(teacher_rate=60)), look])
    assert '"60"' in json.dumps(next(item for item in decision.creates if item["kind"] == "Job"))


def test_a_pod_that_generates_is_told_when_its_share_of_the_teacher_changes():
    first, half, works = (
        sets("turn", Turn(teacher_rate=60)),
        sets("turn", Turn(teacher_rate=30)),
        [look, runs, look],
    )
    cluster, decision = play([first, works])
    assert decision.shares == (), "it has what its Job was made with"
    half(cluster)
    decision, (pod,) = cluster.look(), cluster.pods()
    assert decision.shares == (Share(pod["metadata"]["name"], pod["metadata"]["uid"], 30),)
    assert (pod["metadata"]["annotations"][TEACHER_RATE], cluster.look().shares) == ("30", ()), (
        "it is told once"
    )
    cluster, decision = play([first, works, half, done(), look])
    assert (decision.shares, made(decision)) == ((), ["train.1"]), "a pod that has ended is told nothing"


def test_a_job_that_kueue_has_not_admitted_is_queued():
    def kueue_suspends(cluster):
        cluster.condition("Suspended")

    _, decision = play([look, kueue_suspends, look], spec={"queueName": "team-queue"})
    assert (line(decision), decision.deletes, decision.at_work) == ("Queued WaitingForQueue", (), True)


@pytest.mark.parametrize(
    ("queue", "says"),
    {
        "team-queue": "waits in its queue until Kueue admits it",
        None: "goes on when its spec.suspend is",
    }.items(),
)
def test_a_job_that_is_suspended_while_it_runs_is_queued_once_its_pod_is_gone(queue, says):
    """Kueue preempts a workload so."""

    def suspended(cluster):
        cluster.condition("Suspended")
        (pod,) = cluster.pods()
        cluster.drop("pod", pod["metadata"]["name"])

    _, decision = play([look, runs, look, suspended, look], spec={"queueName": queue} if queue else {})
    assert (line(decision), decision.deletes, decision.at_work) == ("Queued WaitingForQueue", (), True)
    assert says in decision.status.message


def test_ended_requests_count_no_more():
    for steps in (ALL, [look, runs, look, fails(), look]):
        _, decision = play(steps)
        assert (decision.at_work, decision.gpu, decision.generating) == (False, False, False)


# -- the end


def ttl(**more):
    return edit(ttlSecondsAfterFinished=100, **more)


def test_jobs_stay_until_their_time_is_over():
    _, decision = play([ttl(), ALL, later(40), look])
    assert (decision.deletes, decision.requeue_after, decision.delete_request) == ((), 60.0, False)


def test_jobs_go_when_their_time_is_over_and_the_request_stays():
    cluster, decision = play([ttl(), ALL, later(100), look])
    assert (len(decision.deletes), decision.delete_request, cluster.jobs()) == (4, False, [])
    again = cluster.look()
    assert (line(again), again.deletes, again.status.outputs) == (
        "Succeeded Complete",
        (),
        decision.status.outputs,
    )


def test_the_request_goes_too_if_it_says_so():
    cluster, decision = play([ttl(deleteWhenExpired=True), ALL, later(100), look])
    assert (decision.delete_request, cluster.request) == (True, None)


def test_a_refused_request_does_not_expire():
    _, decision = play(
        [look, later(1000), look],
        spec={"trainnig": {}, "ttlSecondsAfterFinished": 1, "deleteWhenExpired": True},
    )
    assert not decision.delete_request


def test_an_edit_after_the_end_starts_the_time_anew():
    _, decision = play([ttl(), ALL, edit(merge={"dtype": "float16"}), later(100), look])
    assert (line(decision), decision.deletes, decision.status.completion_time) == ("Running Starting", (), "")


# -- what is written: each stage costs one status with its Job, and one when it runs


def pod_made(cluster):
    cluster.add_pod()


def pod_done(cluster):
    """The pod has ended well; the Job controller has not counted it yet."""
    cluster.ends(0)


WRITES = {
    "the Job of the first stage is named": ([look], True),
    "its pod is there": ([look, pod_made, look], False),
    "its pod is still not running after a while, so that it gets its name": (
        [look, pod_made, look, later(11), look],
        True,
    ),
    "its pod runs": ([look, pod_made, look, runs, look], True),
    "its pod still runs": ([look, runs, look, later(60), look], False),
    "its pod has ended well": ([look, runs, look, pod_done, look], False),
    "its pod was not seen to run and has ended": ([look, runs, pod_done, look], False),
    "a later stage has just started": ([look, stage_done(), runs, look], False),
    "a later stage runs for a while": ([look, stage_done(), runs, later(11), look], True),
    "a later stage has made progress": ([look, stage_done(), runs, progress(), look], True),
    "its Job is done, and the next one is named": ([look, runs, look, done(), look], True),
}


@pytest.mark.parametrize(("steps", "written"), WRITES.values(), ids=WRITES)
def test_a_status_is_written_only_when_there_is_something_to_tell(steps, written):
    *before, last = flat(steps)
    cluster, _ = play(before)
    version = cluster.request["metadata"]["resourceVersion"]
    last(cluster)
    assert (cluster.request["metadata"]["resourceVersion"] != version) is written


def test_an_undisturbed_request_of_four_stages_costs_twelve_writes():
    cluster, _ = play([])
    notes = []
    stage = [
        look,
        pod_made,
        look,
        runs,
        look,
        look,
        pod_done,
        look,
        lambda cluster: cluster.condition("Complete"),
        look,
    ]
    for step in stage * 4:
        decision = step(cluster)
        notes += decision.notes if decision else []
    assert cluster.request["status"]["phase"] == "Succeeded"
    changes = [kind for _, kind, _, item in cluster.log if item is not None]
    made = {
        kind: len({item["metadata"]["name"] for item in cluster.kept[kind].values()})
        for kind in ("map", "job")
    }
    statuses = changes.count("request") - 1  # the first one is the user's
    assert (made, statuses, len(notes)) == ({"map": 1, "job": 4}, 6, 1), (
        "one for each stage, one for the start"
    )
    starts = [row.get("startTime") for row in cluster.request["status"]["stages"]]
    assert all(starts), "what no write of its own has told is in the next one"
    assert all(row["pod"] for row in cluster.request["status"]["stages"])


# -- when to look again

AGAIN = {
    "a running stage tells by itself": ([look, runs, look], None),
    "a deadline is looked at when it is reached": (
        [edit(stages={"generate": {"activeDeadlineSeconds": 100}}), look, runs, look, later(30), look],
        70.0,
    ),
    "a finished request is left alone": (ALL, None),
    "a suspended request is left alone": ([edit(suspend=True), look], None),
    "a pod that does not start is looked at": ([look, look], 15.0),
    "one that waits for its turn is told": ([sets("turn", Turn(place=1, why="full")), look], None),
    "a later stage that has just started is looked at once it has run for a while": (
        [look, stage_done(), runs, later(4), look],
        6.0,
    ),
}


@pytest.mark.parametrize(("steps", "seconds"), AGAIN.values(), ids=AGAIN)
def test_look_again(steps, seconds):
    _, decision = play(steps)
    assert decision.requeue_after == seconds


# -- Events


EVENTS = {
    "a failure": ([look, runs, look, fails(reason="BadData"), look], [("Warning", "BadData")]),
    "a stage that runs, which the status keeps": ([look, runs, look], []),
    "a stage that is done": ([look, runs, look, done(), look], []),
    "a stage that waits for its pod": ([look], []),
    "the end": (ALL, [("Normal", "Complete")]),
    "suspended": (
        [look, runs, look, edit(suspend=True), look],
        [("Normal", "StageStopping"), ("Normal", "Suspended")],
    ),
    "a place in the queue, which is another one soon": ([sets("turn", Turn(place=2, why="full")), look], []),
}


@pytest.mark.parametrize(("steps", "expected"), EVENTS.values(), ids=EVENTS)
def test_events(steps, expected):
    _, decision = play(steps)
    assert [(note.type, note.reason) for note in decision.notes] == expected


def test_another_place_in_the_queue_is_no_event():
    _, decision = play(
        [sets("turn", Turn(place=2, why="full")), look, sets("turn", Turn(place=1, why="full")), look]
    )
    assert (decision.notes, decision.status.queue_place) == ((), 1)


def test_progress_is_no_event():
    _, decision = play([look, runs, look, progress("generate", 1, 7, "rows"), look])
    assert decision.notes == ()


def test_a_lost_job_is_told():
    def vanishes(cluster):
        for pod in cluster.pods():
            cluster.drop("pod", pod["metadata"]["name"])
        cluster.drop("job", cluster.live()["metadata"]["name"])

    _, decision = play([look, runs, look, vanishes, look])
    assert [note.reason for note in decision.notes] == ["JobLost"]
    assert isinstance(decision.notes[0], Note)


def test_a_status_of_a_newer_release_is_read():
    cluster, before = play([look, stage_done()])
    request = cluster.request
    request["status"] |= {"colour": "red"}
    request["status"]["stages"][0]["tint"] = {"deep": 1}
    cluster.put("request", request)
    assert cluster.decide().status == before.status


def test_only_the_newest_keys_are_remembered_and_always_the_present_ones():
    cluster, _ = play([ALL])
    request = cluster.request
    request["status"]["finished"] += [
        {"stage": "merge", "key": f"{number:016x}", "completionTime": ""} for number in range(80)
    ]
    cluster.put("request", request)
    decision = cluster.look()
    present = {(row.name, row.key) for row in decision.status.stages}
    kept = [(entry.stage, entry.key) for entry in decision.status.finished]
    assert (len(kept), present <= set(kept)) == (50, True)
    assert kept[-1] == ("merge", f"{79:016x}")
