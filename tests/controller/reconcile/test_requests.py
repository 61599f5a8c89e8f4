"""Requests that cannot run, or not yet: their status says why, and nothing is created."""

import json

import pytest
from reconcile_steps import (
    condition,
    conditions,
    edit,
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
from small_cluster import config, profile

from tunesmith import wire
from tunesmith.profile import S3, Allow
from tunesmith.settings import SecretKey
from tunesmith_controller.decide.model import Other, Turn
from tunesmith_controller.decide.objects import UNREADABLE
from tunesmith_controller.decide.reconcile import read_map

REFUSED = {
    "an unknown profile": (
        {"profile": "gold"},
        None,
        "UnknownProfile",
        "spec.profile: there is no profile of this name (available: default)",
    ),
    "a profile without a store": (
        {},
        config(default=profile(store=S3())),
        "ProfileWithoutStore",
        "profiles.default.store.url",
    ),
    "a field that does not exist": ({"trainnig": {}}, None, "BadRequest", "spec.trainnig: unknown field"),
    "a value out of range": ({"training.loraR": 0}, None, "BadRequest", "spec.training.loraR"),
    "an endpoint of its own": (
        {"data.teacher.baseURL": "https://evil.example/v1", "data.teacher.secret": {"name": "mine"}},
        None,
        "NotAllowed",
        "spec.data.teacher.baseURL",
    ),
    "a Secret of another profile": (
        {"data.teacher": {"baseURL": "https://evil.example/v1", "secret": {"name": "gold-teacher"}}},
        config(
            default=profile(allow=Allow(endpoints=("https://*/*",))),
            gold=profile(name="gold", teacherSecret=SecretKey(name="gold-teacher")),
        ),
        "NotAllowed",
        "spec.data.teacher.secret.name",
    ),
    "two things at once": ({"training.loraR": 0, "task": ""}, None, "BadRequest", "spec.task"),
    "a reference to itself": (
        {"data.from": {"request": "riddles"}},
        None,
        "NotAllowed",
        "spec.data.from.request",
    ),
    "a snapshot that no ConfigMap holds": (
        {},
        config(default=profile(env={"LONG": "x" * 1_100_000})),
        "SnapshotTooLarge",
        "a ConfigMap holds",
    ),
}


LATER = {
    "the profile is added": ({"profile": "gold"}, config(gold=profile(name="gold"))),
    "it gets a store": ({}, config()),
    "the endpoint is allowed": (
        {"data.teacher": {"baseURL": "https://good.example/v1", "secret": {"name": "mine"}}},
        config(default=profile(allow=Allow(endpoints=("https://good.example/*",), secrets=("mine",)))),
    ),
}


@pytest.mark.parametrize(("spec", "settings"), LATER.values(), ids=LATER)
def test_a_refused_request_goes_on_once_the_platform_team_has_changed_what_it_lacks(spec, settings):
    cluster, decision = play(
        [look], spec=spec, settings=config(default=profile(store=S3()), silver=profile(name="silver"))
    )
    assert decision.status.phase == "Failed"
    cluster.config = settings  # `helm upgrade` starts a new controller, which looks at every request
    assert made(cluster.look()) == ["generate.1"]


@pytest.mark.parametrize(("spec", "settings", "reason", "text"), REFUSED.values(), ids=REFUSED)
def test_a_request_that_cannot_run_is_refused_by_name(spec, settings, reason, text):
    _, decision = play([look], spec=spec, settings=settings)
    accepted = condition(decision.status, "Accepted")
    assert (decision.status.phase, decision.status.reason, accepted.status, accepted.reason) == (
        "Failed",
        reason,
        "False",
        reason,
    )
    assert text in accepted.message
    assert conditions(decision.status) == ["!Accepted", "!Complete", "Failed", "!Reconciling", "Stalled"]
    assert (decision.creates, decision.deletes, decision.at_work, decision.status.observed_generation) == (
        (),
        (),
        False,
        1,
    )
    assert decision.requeue_after is None, "an edit is seen, and the configuration is read at start"
    assert [(note.type, note.reason) for note in decision.notes] == [("Warning", reason)]


def test_a_refusal_does_not_stay_once_the_profile_is_there():
    cluster, _ = play([look], spec={"profile": "gold"})
    cluster.config = config(default=profile(), gold=profile(name="gold"))
    decision = cluster.look()
    assert (line(decision), made(decision)) == ("Pending Starting", ["generate.1"])


def test_a_refused_edit_leaves_what_runs_alone():
    _, decision = play([look, runs, look, edit(trainnig={}), look])
    assert (line(decision), decision.deletes, rows(decision)[0], decision.at_work) == (
        "Failed BadRequest",
        (),
        "generate Running 1",
        True,
    )
    assert decision.status.message.endswith(
        "(generate still runs as it was before the edit; spec.suspend stops it)"
    )


def test_a_refused_edit_starts_no_further_stage_and_forgets_none():
    cluster, decision = play(
        [look, runs, look, edit(trainnig={}), look, lambda cluster: cluster.complete(), look]
    )
    assert (line(decision), made(decision), rows(decision)[:2]) == (
        "Failed BadRequest",
        [],
        ["generate Succeeded 1"],
    )
    cluster.edit({"trainnig": ...})
    assert made(cluster.look()) == ["train.1"]


def test_a_request_of_which_a_part_cannot_be_read_is_refused_by_name_and_keeps_what_it_has():
    lost = {UNREADABLE: {"spec.evaluation.format": "is nested too deep to be read"}}

    def unread(cluster):
        cluster.edit({"ttlSecondsAfterFinished": 60})
        cluster.put("request", cluster.request | lost)

    cluster, decision = play([look, *stage_done(), runs, later(11), look, unread, look])
    accepted = condition(decision.status, "Accepted")
    assert (line(decision), accepted.status, accepted.reason) == ("Failed Unreadable", "False", "Unreadable")
    assert decision.status.message.startswith(
        "spec.evaluation.format: is nested too deep to be read; mend it"
    )
    assert (rows(decision)[:2], decision.deletes) == (["generate Succeeded 1", "train Running 1"], ())
    assert [entry.stage for entry in decision.status.finished] == ["generate"]
    cluster.put("request", cluster.request | {UNREADABLE: {}})
    assert line(cluster.look()) == "Running Running"


def test_the_run_of_a_request_that_has_begun_stays():
    _, decision = play([look, stage_done(), edit(run="other"), look])
    assert (decision.status.reason, decision.status.run) == ("RunChanged", "riddles-00000000")
    assert "set it to riddles-00000000 again" in decision.status.message


def test_a_request_may_name_its_run():
    _, decision = play([look], spec={"run": "old"})
    assert (decision.status.run, decision.status.store) == ("old", "s3://bucket/runs/team")


def test_a_snapshot_with_a_stage_that_only_a_newer_release_knows_is_not_read():
    """A controller that was rolled back must not plan around a stage that it cannot run."""
    cluster, _ = play([look])
    [config_map] = cluster.kept["map"].values()
    newer = json.loads(config_map["data"][wire.SNAPSHOT_FILE])
    newer["stages"].append({"name": "train-small", "kind": "train", "key": "0" * 16})
    config_map["data"][wire.SNAPSHOT_FILE] = json.dumps(newer)
    with pytest.raises(ValueError, match="does not know the stages train-small"):
        read_map(config_map)


def test_a_request_whose_snapshot_is_lost_does_not_go_on_in_another_store():
    cluster, _ = play([look, stage_done()])
    cluster.drop("map", cluster.request["status"]["snapshot"])
    cluster.config = config(default=profile(store=S3(url="s3://moved")))
    decision = cluster.look()
    assert (decision.status.reason, decision.creates) == ("StoreChanged", ())
    assert "what this request has finished lies in s3://bucket/runs/team" in decision.status.message


def test_a_suspended_request_takes_up_a_run_and_starts_nothing():
    """So the run of a deleted request can be removed: `delete --data` needs a snapshot, a run and a store."""
    _, decision = play([look], spec={"run": "old", "suspend": True})
    assert (decision.status.run, bool(decision.status.snapshot), bool(decision.status.store)) == (
        "old",
        True,
        True,
    )
    assert [made["kind"] for made in decision.creates] == ["ConfigMap"]


REFERENCES = {
    "data: no such request": ({"data.from": {"request": "a"}}, {}, "Pending RequestNotFound", []),
    "data: it has no run yet": (
        {"data.from": {"request": "a"}},
        {"a": Other()},
        "Pending WaitingForRequest",
        [],
    ),
    "data: its dataset is not done": (
        {"data.from": {"request": "a"}},
        {"a": Other(run="a-1")},
        "Pending WaitingForRequest",
        [],
    ),
    "data: it has failed": (
        {"data.from": {"request": "a"}},
        {"a": Other(run="a-1", failed=True)},
        "Pending RequestFailed",
        [],
    ),
    "data: its dataset is done, though it failed later": (
        {"data.from": {"request": "a"}},
        {"a": Other(run="a-1", finished=frozenset({"generate"}), failed=True)},
        "Pending Starting",
        ["generate.1"],
    ),
    "training: the adapter is needed by train only": (
        {"training.from": {"request": "a"}},
        {"a": Other(run="a-1")},
        "Pending Starting",
        ["generate.1"],
    ),
}


@pytest.mark.parametrize(("spec", "others", "expected", "jobs"), REFERENCES.values(), ids=REFERENCES)
def test_another_request_is_waited_for(spec, others, expected, jobs):
    _, decision = play([sets("others", others), look], spec=spec)
    assert (line(decision), made(decision)) == (expected, jobs)
    assert decision.requeue_after is None, "a change of the other one asks for a look"
    assert not conditions(decision.status).count("Stalled"), "the other one may still be fixed"


def test_the_key_depends_on_the_run_that_is_taken():
    keys = set()
    for run in ("a-1", "a-2"):
        other = Other(run=run, finished=frozenset({"generate"}))
        _, decision = play([sets("others", {"a": other}), look], spec={"data.from": {"request": "a"}})
        keys.add(decision.status.stages[0].key)
    assert len(keys) == 2


def test_a_request_that_was_made_again_is_not_read_under_its_first_run():
    first, second = (Other(run=run, finished=frozenset({"generate"})) for run in ("a-1", "a-2"))
    steps = [
        sets("turn", Turn(place=1, why="the limit")),
        sets("others", {"a": first}),
        look,
        sets("turn", None),
        sets("others", {"a": second}),
        look,
    ]
    cluster, decision = play(steps, spec={"data.from": {"request": "a"}})
    assert (line(decision), made(decision)) == ("Pending RequestReplaced", [])
    assert "spec.data.from.run: a-1" in decision.status.message
    cluster.edit({"retry": "again"})
    assert made(cluster.look()) == ["generate.1"]
    assert cluster.snapshot(cluster.request).snapshot.spec.data.from_.run == "a-2"


def test_a_suspended_request_is_suspended_whatever_it_waits_for():
    _, decision = play([look], spec={"data.from": {"request": "a"}, "suspend": True})
    assert line(decision) == "Suspended Suspended"


def test_a_suspended_request_says_that_its_node_is_lost():
    def dies(cluster):
        pod = cluster.pods()[-1]
        pod["spec"]["nodeName"] = "gpu-7"
        cluster.put("pod", pod)

    _, decision = play([look, runs, dies, edit(suspend=True), look, later(60), look])
    assert line(decision) == "Suspended Suspended"
    assert "`kubectl delete node gpu-7`" in decision.status.message


def test_train_waits_for_the_adapter_of_another_request():
    other = Other(run="a-1", finished=frozenset({"generate"}))
    cluster, decision = play(
        [sets("others", {"a": other}), look, stage_done()], spec={"training.from": {"request": "a"}}
    )
    assert (line(decision), rows(decision), made(decision)) == (
        "Pending WaitingForRequest",
        ["generate Succeeded 1"],
        [],
    )
    cluster.others = {"a": Other(run="a-1", finished=frozenset({"generate", "train"}))}
    assert made(cluster.look()) == ["train.1"]


def frozen_of(cluster):
    return cluster.snapshot(cluster.request).frozen


def changed_profile(cluster):
    new = profile(
        defaults={"training": {"loraR": 4}},
        images=profile().images.model_copy(update={"train": "reg.example/train:2"}),
        store=S3(url="s3://moved", endpoint="https://s3.example"),
        models={"small": "hf://org/small"},
    )
    cluster.config = config(default=new)


# edit after the profile has changed -> train's image, store's URL, store's endpoint, keys of the first
# generation kept, default of loraR
FROZEN = {
    "any edit: all as it was": (
        edit(ttlSecondsAfterFinished=9),
        "reg.example/train:1",
        "s3://bucket/runs",
        "",
        16,
    ),
    "retry: today's, but what would move keys and the URL of the store": (
        edit(retry="again"),
        "reg.example/train:2",
        "s3://bucket/runs",
        "https://s3.example",
        16,
    ),
    "rerun: all of today's but the URL of the store": (
        edit(rerun={"from": "train", "id": "1"}),
        "reg.example/train:2",
        "s3://bucket/runs",
        "https://s3.example",
        4,
    ),
}


@pytest.mark.parametrize(("change", "image", "url", "endpoint", "rank"), FROZEN.values(), ids=FROZEN)
def test_of_a_changed_profile_an_edit_takes(change, image, url, endpoint, rank):
    cluster, _ = play([look, stage_done(), changed_profile, change, look])
    frozen, snapshot = frozen_of(cluster), cluster.snapshot(cluster.request).snapshot
    assert (frozen.profile.images.train, frozen.profile.store.url, frozen.profile.store.endpoint) == (
        image,
        url,
        endpoint,
    )
    assert snapshot.spec.training.lora_r == rank


def test_a_rerun_takes_no_default_that_would_run_an_earlier_stage_again():
    cluster, _ = play([look, stage_done(), stage_done(), stage_done(), stage_done()])
    cluster.config = config(
        default=profile(defaults={"training": {"loraR": 4}, "merge": {"dtype": "float16"}})
    )
    cluster.edit({"rerun": {"from": "merge", "id": "1"}})
    decision = cluster.look()
    spec = cluster.snapshot(cluster.request).snapshot.spec
    assert (made(decision), spec.training.lora_r, spec.merge.dtype) == (["merge.1"], 16, "auto")
    cluster.config = config(default=profile(defaults={"merge": {"dtype": "float16"}}))
    cluster.edit({"rerun": {"from": "merge", "id": "1", "then": [{"from": "evaluate", "id": "2"}]}})
    cluster.look()
    assert cluster.snapshot(cluster.request).snapshot.spec.merge.dtype == "auto", "merge is before evaluate"
    cluster.edit({"rerun": {"from": "merge", "id": "2"}})
    cluster.look()
    assert cluster.snapshot(cluster.request).snapshot.spec.merge.dtype == "float16"


def endpoint_of(cluster):
    teacher = cluster.snapshot(cluster.request).snapshot.spec.data.teacher
    return teacher.base_url, teacher.model, frozen_of(cluster).profile.teacher_secret.name


def test_todays_key_of_a_teacher_goes_to_todays_endpoint():
    def vendor(name):
        teacher = {"baseURL": f"https://{name}.example/v1", "model": name}
        stages = {"train": {"nodeSelector": {"vendor": name}}}
        return config(
            default=profile(
                defaults={"data": {"teacher": teacher}, "stages": stages},
                teacherSecret=SecretKey(name=name, key="k"),
            )
        )

    cluster, _ = play([look, runs, look], settings=vendor("old"))
    cluster.config = vendor("new")
    cluster.edit({"suspend": True})
    cluster.look()
    assert endpoint_of(cluster) == ("https://old.example/v1", "old", "old")
    cluster.edit({"retry": "again"})
    cluster.look()
    assert endpoint_of(cluster) == ("https://new.example/v1", "old", "new"), "the model would move the key"
    assert cluster.snapshot(cluster.request).snapshot.spec.stages.train.node_selector == {"vendor": "new"}


@pytest.mark.parametrize(
    "left",
    [{"default": profile()}, {"other": profile(name="other")}],
    ids=["taken back", "its profile is gone"],
)
def test_what_is_not_allowed_any_more_is_not_allowed_to_an_old_request(left):
    allow = Allow(endpoints=("https://*.example/*",))
    cluster, _ = play([look, runs, look], settings=config(default=profile(allow=allow)))
    cluster.config = config(**left)
    assert cluster.look().status.phase == "Running", "what was accepted keeps running"
    cluster.edit({"data": {"teacher": {"baseURL": "https://evil.example/v1", "secret": {"name": "mine"}}}})
    assert cluster.look().status.reason == "NotAllowed"


def test_a_changed_profile_changes_nothing_of_a_run_under_way():
    cluster, before = play([look, stage_done()])
    changed_profile(cluster)
    decision = cluster.look()
    assert (decision.status, decision.creates, decision.deletes) == (before.status, (), ())


def test_a_profile_that_is_gone_ends_no_run_under_way():
    cluster, _ = play([look, stage_done(), runs, later(11), look])
    cluster.config = config(other=profile(name="other"))
    cluster.edit({"merge": {"dtype": "float16"}})
    assert line(cluster.look()) == "Running Running"


def test_each_generation_has_one_immutable_snapshot():
    cluster, _ = play([look, look, edit(ttlSecondsAfterFinished=9), look, look])
    (first, second) = cluster.kept["map"].values()
    assert [item["immutable"] for item in (first, second)] == [True, True]
    assert cluster.request["status"]["snapshot"] == second["metadata"]["name"]
    assert first["metadata"]["ownerReferences"][0]["uid"] == cluster.request["metadata"]["uid"]


def test_a_snapshot_that_was_deleted_is_made_again_under_its_name():
    cluster, decision = play([look, runs, look])
    name = cluster.request["status"]["snapshot"]
    cluster.drop("map", name)
    again = cluster.look()
    assert [item["metadata"]["name"] for item in again.creates] == [name]
    assert again.status == decision.status


def test_a_snapshot_of_a_newer_controller_is_still_the_snapshot():
    cluster, before = play([look, runs, look])
    config_map = cluster.kept["map"][cluster.request["status"]["snapshot"]]
    for file in ("request.json", "frozen.json"):
        document = json.loads(config_map["data"][file])
        part = document["spec"]["training"] if file == "request.json" else document["profile"]
        part["newField"] = {"of": "a newer release"}
        document["another"] = 1
        config_map["data"][file] = json.dumps(document)
    decision = cluster.look()
    assert (decision.status, decision.creates, decision.deletes) == (before.status, (), ())


def begin_to_delete(cluster):
    """As `kubectl delete` does where a finalizer keeps a request."""
    request = cluster.kept["request"][cluster.name]
    request["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    request["metadata"]["generation"] += 1


def test_a_request_that_is_to_go_and_is_kept_gives_back_what_it_holds():
    cluster, before = play([look, stage_done(), runs, look])
    assert before.at_work
    begin_to_delete(cluster)
    decision = cluster.look()
    assert (line(decision), made(decision), decision.notes) == ("Suspended Deleting", [], ())
    assert len(decision.deletes) == 1, "the Job of train"
    assert decision.at_work, "as long as its pod saves its state"
    assert "finalizers in its metadata keep it" in decision.status.message
    assert decision.status.observed_generation == 2
    for kind in ("job", "pod"):
        for name in list(cluster.kept[kind]):
            cluster.drop(kind, name)
    decision = cluster.look()
    assert not decision.at_work
    assert (line(decision), made(decision), decision.deletes) == ("Suspended Deleting", [], ())
    assert [row.phase for row in decision.status.stages][:2] == ["Succeeded", "Pending"]


def test_a_request_that_has_ended_and_is_to_go_stays_as_it_is():
    cluster, before = play([look, stage_done(), stage_done(), stage_done(), stage_done()])
    begin_to_delete(cluster)
    decision = cluster.decide()
    assert (decision.status, decision.creates, decision.deletes) == (before.status, (), ())


def test_an_end_in_the_far_future_is_no_error():
    cluster, _ = play(
        [look, stage_done(), stage_done(), stage_done(), stage_done()], spec={"ttlSecondsAfterFinished": 5}
    )
    cluster.kept["request"][cluster.name]["status"]["completionTime"] = "9999-12-31T23:59:59Z"
    decision = cluster.decide()
    assert decision.deletes == ()
    assert decision.requeue_after == 86_400


def test_a_finished_request_that_is_to_wait_for_another_one_is_not_finished_any_more():
    done = [look, stage_done(), stage_done(), stage_done(), stage_done()]
    _, decision = play([done, edit(data={"from": {"request": "a"}}), look])
    assert (line(decision), made(decision), decision.status.completion_time) == (
        "Pending RequestNotFound",
        [],
        "",
    )
    assert condition(decision.status, "Accepted").status == "Unknown"
