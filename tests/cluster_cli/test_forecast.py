"""A dry run on the cluster says what would really run, by the frozen snapshot and profile."""

import json

import pytest
import yaml
from cluster_cli.frozen_run import PROFILE, freeze
from requests_for_tests import document

from tunesmith.plan import snapshot
from tunesmith.request import parse
from tunesmith_cli.cluster.forecast import after_change, without_status
from tunesmith_cli.cluster.ownership import applied

STAGES = ["generate", "train", "merge", "evaluate"]
HOWS = pytest.mark.parametrize("how", ["client", "server"])


def foretold(cluster, *arguments, how):
    """The document of a dry run: stages that would run, and fields that change."""
    said = json.loads(cluster(*arguments, f"--dry-run={how}", "-o", "json").stdout)
    [entry] = said["requests"]
    assert said["dryRun"] == how
    assert [stage["name"] for stage in entry["stages"]] == STAGES
    assert all(len(stage["key"]) == 16 for stage in entry["stages"])
    return [stage["name"] for stage in entry["stages"] if stage["would"] == "run"], entry["changes"], entry


@HOWS
@pytest.mark.parametrize("act", ["submit", "suspend", "resume", "rerun"])
def test_what_has_finished_is_reused_and_nothing_else_is_said_to_change(cluster, act, how):
    file = cluster.write()
    cluster("submit", file)
    freeze(cluster, ended="Failed" if act == "suspend" else "Complete")
    if act == "resume":
        cluster.kubectl("patch", "treq", "riddles", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    if act == "suspend":  # an edit that the controller has not seen: then there is something to suspend
        cluster.kubectl("patch", "treq", "riddles", "--type=merge", "-p", '{"spec": {"retry": "x"}}')
    arguments = {"submit": ["submit", file], "rerun": ["rerun", "riddles", "--from", "merge", "--id", "x"]}
    runs, changes, _ = foretold(cluster, *arguments.get(act, [act, "riddles"]), how=how)
    assert runs == (["merge", "evaluate"] if act == "rerun" else [])
    moving = [change["path"] for change in changes if change["stage"]]
    assert moving == (["rerun"] if act == "rerun" else [])
    assert "training.device" not in [change["path"] for change in changes]


@HOWS
def test_a_retry_runs_what_has_not_finished(cluster, how):
    cluster("submit", cluster.write())
    freeze(cluster, ended="Failed", finished=["generate"])
    runs, changes, entry = foretold(cluster, "retry", "riddles", how=how)
    assert runs == STAGES[1:]
    assert [change["path"] for change in changes] == ["retry"]
    assert entry["patch"]["spec"]["retry"]


@HOWS
def test_a_field_that_the_file_has_no_more_goes_and_its_stage_runs(cluster, how):
    cluster("submit", cluster.write(changes={"training.learningRate": 1e-3}))
    made = freeze(cluster)
    file = cluster.write()
    runs, changes, entry = foretold(cluster, "submit", file, how=how)
    assert runs == STAGES[1:]
    assert [(change["path"], change["before"], change["stage"]) for change in changes] == [
        ("training.learningRate", 1e-3, "train")
    ]
    assert entry["result"] == "configured"
    cluster("submit", file)
    assert "training" not in cluster.get()["spec"] or cluster.get()["spec"]["training"] == {}
    [train] = [stage["key"] for stage in entry["stages"] if stage["name"] == "train"]
    now = snapshot(parse(without_status(cluster.get())), run=made.run, profile=PROFILE, cluster=True)
    assert (train, made.key("train") != train) == (now.key("train"), True)


EDITS = {  # in the file before and after; set by somebody else in between
    "a field goes": ({"training.learningRate": 1e-3, "training.loraR": 4}, {"training.loraR": 4}, {}),
    "a whole part goes": ({"evaluation.prompts": ["why?"], "data.examples": 5}, {"data.examples": 5}, {}),
    "a field changes, one comes": ({"data.examples": 5}, {"data.examples": 6, "training.loraR": 4}, {}),
    "a list is one value": ({"data.seeds": ["a", "b"]}, {"data.seeds": ["c"]}, {}),
    "what somebody else set stays": ({"training.learningRate": 1e-3}, {}, {"training": {"loraR": 4}}),
    "what an act set stays": (
        {"data.examples": 5},
        {"data.examples": 5},
        {"rerun": {"from": "train", "id": "x"}},
    ),
    "resources, deep down": (
        {"stages.train.env": {"A": "1", "B": "2"}},
        {"stages.train.env": {"B": "2"}},
        {},
    ),
}


@pytest.mark.parametrize(("first", "then", "others"), EDITS.values(), ids=EDITS)
def test_what_apply_makes_of_a_request_is_foreseen_without_the_server(cluster, first, then, others):
    cluster("submit", cluster.write(changes=first))
    if others:
        cluster.kubectl("patch", "treq", "riddles", "--type=merge", "-p", json.dumps({"spec": others}))
    live = json.loads(cluster.kubectl("get", "treq", "riddles", "-o", "json", "--show-managed-fields"))
    cluster("submit", cluster.write(changes=then))
    assert without_empty(applied(live, document(then))["spec"]) == without_empty(cluster.get()["spec"])


def without_empty(value):
    if not isinstance(value, dict):
        return value
    return {name: kept for name, member in value.items() if (kept := without_empty(member)) != {}}


def test_what_cannot_be_foretold_is_said_and_is_no_first_run(cluster):
    cluster("submit", cluster.write())
    freeze(cluster)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "requests"},
        "rules": [
            {"apiGroups": ["tunesmith.dev"], "resources": ["trainingrequests"], "verbs": ["get", "patch"]}
        ],
    }
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(role))
    cluster.kubectl("create", "rolebinding", "requests", "--role=requests", "--user=visitor")
    done = cluster(
        "submit", cluster.write(), "--dry-run", expect=77, kubeconfig=cluster.plane.kubeconfig_for("visitor")
    )
    assert "you may not get configmaps" in done.stderr
    assert "generate" not in done.stdout


def test_a_request_without_a_run_has_all_its_stages_ahead(cluster):
    cluster("submit", cluster.write())
    said = json.loads(cluster("submit", cluster.write(), "--dry-run", "-o", "json").stdout)
    assert said["requests"][0]["stages"] == [{"name": name, "key": "", "would": "run"} for name in STAGES]


def frozen(changes, runs):
    made = snapshot(parse(document(changes)), run="riddles-1", profile=PROFILE, cluster=True, runs=runs)
    finished = [{"stage": stage.name, "key": stage.key} for stage in made.stages]
    request = document(changes, uid="1234-5678-9", namespace="team")
    return request | {"status": {"observedGeneration": 1, "run": "riddles-1", "finished": finished}}, made


def would(changes, edited, runs=None):
    request, made = frozen(changes, runs or {})
    return [
        (key, what)
        for _, key, what in after_change(request, document(edited, uid="1234-5678-9"), made, PROFILE).stages
    ]


def test_a_dataset_of_another_request_is_reused_while_the_file_names_the_same_one():
    other = {"data.from": {"request": "other"}}
    assert {what for _, what in would(other, other, {"other": "other-1"})} == {"reuse"}


def test_the_run_of_a_request_that_is_newly_named_is_not_guessed():
    other, third = {"data.from": {"request": "other"}}, {"data.from": {"request": "third"}}
    assert would(other, third, {"other": "other-1"}) == [("", "run")] * 4


def test_another_run_has_nothing_to_reuse():
    assert {what for _, what in would({}, {"run": "elsewhere"})} == {"run"}
    assert {what for _, what in would({"run": "elsewhere"}, {})} == {"run"}
