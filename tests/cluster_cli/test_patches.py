"""`suspend`, `resume`, `retry`, `rerun`: one patch of the spec each, and no nonsense."""

import json

import pytest
import yaml
from cluster_cli.statuses import condition, row

from tunesmith.errors import Usage
from tunesmith_cli.cluster import patches
from tunesmith_cli.cluster.requests import status_of
from tunesmith_cli.commands.rerun_id import new_id

COMPLETE = {"phase": "Succeeded", "conditions": [condition("Complete")]}
FAILED = {"phase": "Failed", "conditions": [condition("Failed")]}
RUNNING = {"phase": "Running", "stages": [row("train", "Running", job="j")]}
STUCK = {"phase": "Pending", "stages": [row("train", "Pending", job="j", reason="ImagePullBackOff")]}
STARTING = {"phase": "Pending", "stages": [row("train", "Pending", job="j", reason="Starting")]}
QUEUED = {"phase": "Queued", "stages": [row("train", "Pending", job="j", reason="WaitingForQueue")]}
NEW = {"phase": "Pending"}


def seen(status, **spec):
    return {
        "metadata": {"name": "riddles", "generation": 1},
        "spec": spec,
        "status": {"observedGeneration": 1} | status,
    }


CASES = {  # act, status, spec -> the patch of the spec, or what it is refused with
    "suspend before the start": (patches.suspend, NEW, {}, {"suspend": True}),
    "suspend at work": (patches.suspend, RUNNING, {}, {"suspend": True}),
    "suspend twice": (patches.suspend, RUNNING, {"suspend": True}, None),
    "suspend what is complete": (patches.suspend, COMPLETE, {}, "has ended: it is complete"),
    "suspend what has failed": (patches.suspend, FAILED, {}, "has ended: it has failed"),
    "resume": (patches.resume, RUNNING, {"suspend": True}, {"suspend": False}),
    "resume what is not suspended": (patches.resume, RUNNING, {}, None),
    "retry what has failed": ("retry", FAILED, {}, {"retry": "id"}),
    "retry what cannot start": ("retry", STUCK, {}, {"retry": "id"}),
    "retry what is about to start": ("retry", STARTING, {}, "has not failed: it is Pending"),
    "retry what waits in Kueue's queue": ("retry", QUEUED, {}, "has not failed: it is Queued"),
    "retry what runs": ("retry", RUNNING, {}, "has not failed: it is Running"),
    "retry what is complete": ("retry", COMPLETE, {}, "has not failed: it is Succeeded"),
    "retry what is suspended": ("retry", FAILED, {"suspend": True}, "is suspended"),
    "rerun": ("rerun", COMPLETE, {}, {"rerun": {"from": "train", "id": "id"}}),
    "rerun from before an earlier rerun": (
        "rerun",
        COMPLETE,
        {"rerun": {"from": "merge", "id": "a"}},
        {"rerun": {"from": "train", "id": "id"}},
    ),
    "rerun from behind an earlier rerun": (
        "rerun",
        COMPLETE,
        {"rerun": {"from": "generate", "id": "a"}},
        {"rerun": {"from": "generate", "id": "a", "then": [{"from": "train", "id": "id"}]}},
    ),
    "rerun from before two reruns": (
        "rerun",
        COMPLETE,
        {"rerun": {"from": "merge", "id": "a", "then": [{"from": "evaluate", "id": "b"}]}},
        {"rerun": {"from": "train", "id": "id", "then": None}},
    ),
    "rerun a stage that it has not": (
        "rerun",
        COMPLETE | {"stages": [row("merge")]},
        {},
        "has no stage train",
    ),
}
BY_NAME = {
    "retry": lambda request, status: patches.retry(request, status, "id"),
    "rerun": lambda request, status: patches.rerun(request, status, "train", "id"),
}


@pytest.mark.parametrize(("act", "status", "spec", "expected"), CASES.values(), ids=CASES)
def test_an_act_is_a_patch_or_a_reason_why_not(act, status, spec, expected):
    request = seen(status, **spec)
    do = BY_NAME.get(act, act)
    if isinstance(expected, str):
        with pytest.raises(Usage, match=expected):
            do(request, status_of(request))
    else:
        assert do(request, status_of(request)) == (None if expected is None else {"spec": expected})


def test_suspend_and_resume_reach_the_spec(cluster):
    cluster.create()
    assert cluster("suspend", "riddles").stdout == "trainingrequest.tunesmith.dev/riddles suspended\n"
    assert cluster.get()["spec"]["suspend"] is True
    assert "is suspended already" in cluster("suspend", "riddles").stdout
    cluster("resume", "riddles")
    assert cluster.get()["spec"]["suspend"] is False


def test_each_retry_is_another_string(cluster):
    cluster.create(status=FAILED)
    said = set()
    for generation in (2, 3):
        cluster("retry", "riddles")
        said.add(cluster.get()["spec"]["retry"])
        assert cluster.get()["metadata"]["generation"] == generation
        cluster.status("riddles", **FAILED)
    assert len(said) == 2


def test_ids_of_the_same_second_differ():
    assert len({new_id() for _ in range(50)}) == 50


def test_a_file_that_sets_what_an_act_has_set_is_no_conflict(cluster):
    cluster("submit", cluster.write(changes={"retry": "1", "suspend": False}))
    cluster.status("riddles", **FAILED)
    cluster("retry", "riddles")
    cluster.status("riddles", **FAILED | {"phase": "Running", "conditions": []})
    cluster("suspend", "riddles")
    file = cluster.write(changes={"retry": "2", "suspend": False})
    assert "configured" in cluster("submit", file, "--dry-run=server").stdout
    assert cluster("submit", file).stdout == "trainingrequest.tunesmith.dev/riddles configured\n"
    assert (cluster.get()["spec"]["retry"], cluster.get()["spec"]["suspend"]) == ("2", False)
    assert cluster("submit", file).stdout == "trainingrequest.tunesmith.dev/riddles unchanged\n"


ACTS = {  # act -> its arguments, the status before, what it says
    "suspend": ([], NEW, "suspended"),
    "resume": ([], NEW, "resumed"),
    "retry": ([], FAILED, "retried"),
    "rerun": (["--from", "train", "--id", "x"], COMPLETE, "rerun"),
    "delete": (["--yes"], COMPLETE, "deleted"),
}


@pytest.mark.parametrize("form", ["name", "json", "yaml"])
@pytest.mark.parametrize(
    ("act", "more", "status", "result"), [(act, *rest) for act, rest in ACTS.items()], ids=ACTS
)
def test_an_act_says_its_result_in_every_form(cluster, act, more, status, result, form):
    uid = cluster.create(changes={"suspend": act == "resume"}, status=status)["metadata"]["uid"]
    done = cluster(act, "riddles", *more, "-o", form)
    if form == "name":
        assert done.stdout == "trainingrequest.tunesmith.dev/riddles\n"
        return
    said = json.loads(done.stdout) if form == "json" else yaml.safe_load(done.stdout)
    deleted = {"run": "", "removed": None} if act == "delete" else {}
    entry = {"name": "riddles", "namespace": cluster.namespace, "result": result, "uid": uid} | deleted
    assert said == {"format": 1, "dryRun": "none", "requests": [entry], "failed": None}
    assert "Next:" not in done.stderr


def test_an_act_that_is_refused_says_so_in_json_too(cluster):
    cluster.create(status=RUNNING)
    done = cluster("retry", "riddles", "-o", "json", expect=64)
    assert json.loads(done.stdout)["failed"]["reason"] == "NotFailed"
    assert "has not failed" in done.stderr


@pytest.mark.parametrize("form", ["name", "yaml"])
def test_forms_of_the_cluster_are_none_of_a_run_here(cluster, form):
    assert "use -o json" in cluster("retry", "riddles", "-o", form, here=False, expect=64).stderr


def test_a_failure_of_an_earlier_generation_is_none_any_more(cluster):
    cluster.create(status=FAILED | {"phase": "Running"})
    cluster.kubectl("patch", "treq", "riddles", "--type=merge", "-p", '{"spec": {"data": {"examples": 5}}}')
    assert "has not failed" in cluster("retry", "riddles", expect=64).stderr


@pytest.mark.parametrize("how", ["client", "server"])
def test_a_dry_run_shows_the_patch_and_changes_nothing(cluster, how):
    cluster.create(status=COMPLETE)
    out = cluster("rerun", "riddles", "--from", "train", "--id", "x", f"--dry-run={how}").stdout
    assert 'patch: {"spec": {"rerun": {"from": "train", "id": "x"}}}' in out
    assert "rerun" not in cluster.get()["spec"]


def test_a_server_dry_run_without_a_server_is_refused(cluster):
    assert (
        "needs a cluster" in cluster("run", cluster.write(), "--dry-run=server", here=False, expect=64).stderr
    )
