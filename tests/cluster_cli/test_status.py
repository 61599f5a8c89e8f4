"""`status` on a cluster: kubectl's own table, one request with its stages, a documented JSON, and a watch
that ends.
"""

import json
import threading
import time

import pytest
import yaml
from cluster_cli.statuses import KEYS, NOW, condition, row
from cluster_cli.test_api import ONE, REQUESTS, listed, request

from tunesmith_cli.commands import cluster_watch
from tunesmith_cli.commands.terminal import fitted

RUNNING = {
    "phase": "Running",
    "stage": "train",
    "progress": 45,
    "loss": "0.412",
    "run": "riddles-12345678",
    "store": "s3://bucket/runs/team",
    "stages": [
        row(
            "generate",
            startTime=NOW,
            completionTime="2026-01-02T03:05:12Z",
            attempt=1,
            job="riddles-generate-0a1b2c3d",
        ),
        row("train", "Running", startTime=NOW, attempt=2, progress=45, metrics={"loss": 0.412}),
        row("merge", "Pending"),
        row("evaluate", "Pending", reason="GpuQuota", message="waits for a GPU"),
    ],
    "conditions": [condition("Complete", "Unknown"), condition("Failed", "Unknown")],
}


def test_the_table_is_that_of_kubectl(cluster):
    cluster.create("first", status=RUNNING)
    cluster.create("second")
    for wide in ([], ["-o", "wide"]):
        ours = [line.split() for line in cluster("status", *wide).stdout.splitlines()]
        theirs = [line.split() for line in cluster.kubectl("get", "treq", *wide).splitlines()]
        assert ours[0] == theirs[0]
        assert [line[:3] for line in ours[:2]] == [line[:3] for line in theirs[:2]]
        assert [line[0] for line in ours] == [line[0] for line in theirs] == ["NAME", "first", "second"]


def test_absent_cells_are_said_and_the_table_has_80_columns(cluster):
    cluster.create("n" * 39, status=RUNNING | {"stage": "", "phase": "Pending"})
    lines = cluster("status").stdout.splitlines()
    assert "<none>" in lines[1]
    assert max(map(len, lines)) <= 80


def test_names_and_reasons_are_cut_for_80_columns_and_nothing_else(cluster):
    stuck = {
        "phase": "Succeeded",
        "stage": "generate",
        "percent": "100 %",
        "reason": "CreateContainerConfigError",
    }
    cluster.create("n" * 39, status=RUNNING | stuck)
    for everywhere in ([], ["-A"]):
        lines = cluster("status", *everywhere, here=not everywhere).stdout.splitlines()
        assert max(map(len, lines)) <= 80
        [ours] = [
            line
            for line in lines
            if "nnnn" in line and (not everywhere or line.split()[0] == cluster.namespace)
        ]
        assert "…" in ours
        assert "Succeeded   generate" in ours
    assert "n" * 39 in cluster("status", "-o", "wide").stdout
    assert "n" * 39 in cluster("status", "-o", "name").stdout


def test_a_short_table_is_left_alone():
    rows = [("NAME", "REASON"), ("riddles", "ImagePullBackOff")]
    assert fitted(rows, {"REASON": 8}) == rows


def test_all_namespaces_and_a_name_are_refused(cluster):
    cluster.create()
    assert "leave out -A" in cluster("status", "riddles", "-A", here=False, expect=64).stderr


def test_after_a_gate_that_was_not_passed_a_retry_is_not_offered(cluster):
    failed = {"phase": "Failed", "stage": "evaluate", "reason": "GateNotPassed", "message": "loss"}
    cluster.create(status=RUNNING | failed | {"conditions": [condition("Failed")]})
    said = cluster("status", "riddles").stdout
    assert "tunesmith retry" not in said
    assert f"tunesmith report riddles -n {cluster.namespace}" in said
    assert "edit the gate, data or training" in said


def test_all_namespaces_come_first(cluster):
    cluster.create()
    head, *lines = cluster("status", "-A", here=False).stdout.splitlines()
    assert head.split()[:2] == ["NAMESPACE", "NAME"]
    assert [cluster.namespace, "riddles"] in [line.split()[:2] for line in lines]


def test_what_the_run_has_read_of_own_data_is_shown(cluster):
    read = {"stage": "generate", "key": KEYS["generate"], "note": "read s3://b/k: sha256 ab12, 7 bytes"}
    old = {"stage": "generate", "key": "0" * 16, "note": "read s3://b/old: sha256 cd34, 7 bytes"}
    cluster.create(status=RUNNING | {"finished": [old, read]})
    said = cluster("status", "riddles").stdout
    assert "generate: read s3://b/k: sha256 ab12, 7 bytes" in said
    assert "s3://b/old" not in said


def test_one_request_is_shown_with_its_stages_and_the_next_commands(cluster):
    cluster.create(status=RUNNING)
    lines = cluster("status", "riddles").stdout.splitlines()
    table = [line.split() for line in lines[3:8]]
    assert table[0] == ["STAGE", "KEY", "PHASE", "ATTEMPT", "PROGRESS", "TIME"]
    assert table[1] == ["generate", KEYS["generate"], "Succeeded", "1", "100", "%", "1:07"]
    assert table[2][:6] == ["train", KEYS["train"], "Running", "2", "45", "%"]
    assert table[4] == ["evaluate", KEYS["evaluate"], "Pending", "<none>", "GpuQuota", "<none>"]
    assert lines[-2:] == [
        f"  tunesmith {words} riddles{more} -n {cluster.namespace}"
        for words, more in (("logs", " -f"), ("events", ""))
    ]


def test_json_and_yaml_have_the_documented_members(cluster):
    cluster.create(status=RUNNING)
    document = json.loads(cluster("status", "riddles", "-o", "json").stdout)
    assert yaml.safe_load(cluster("status", "riddles", "-o", "yaml").stdout)["stages"] == document["stages"]
    for moving in ("uid", "created"):
        assert document.pop(moving)
    assert document == {
        "format": 1,
        "name": "riddles",
        "namespace": cluster.namespace,
        "generation": 1,
        "observedGeneration": 1,
        "profile": "default",
        "base": "hf://org/model@0123456789abcdef0123456789abcdef01234567",
        "suspended": False,
        "phase": "Running",
        "ended": "",
        "stage": "train",
        "progress": 45,
        "eta": "",
        "queuePlace": 0,
        "reason": "",
        "message": "",
        "run": "riddles-12345678",
        "store": "s3://bucket/runs/team",
        "startTime": "",
        "completionTime": "",
        "stages": [
            {
                "name": "generate",
                "key": KEYS["generate"],
                "phase": "Succeeded",
                "job": "riddles-generate-0a1b2c3d",
                "attempt": 1,
                "pod": "",
            }
            | {
                "startTime": NOW,
                "completionTime": "2026-01-02T03:05:12Z",
                "progress": 0,
                "eta": "",
                "metrics": {},
                "reason": "",
                "message": "",
            },
            {
                "name": "train",
                "key": KEYS["train"],
                "phase": "Running",
                "job": "",
                "attempt": 2,
                "pod": "",
                "startTime": NOW,
            }
            | {
                "completionTime": "",
                "progress": 45,
                "eta": "",
                "metrics": {"loss": 0.412},
                "reason": "",
                "message": "",
            },
            {
                "name": "merge",
                "key": KEYS["merge"],
                "phase": "Pending",
                "job": "",
                "attempt": 0,
                "pod": "",
                "startTime": "",
            }
            | {"completionTime": "", "progress": 0, "eta": "", "metrics": {}, "reason": "", "message": ""},
            {
                "name": "evaluate",
                "key": KEYS["evaluate"],
                "phase": "Pending",
                "job": "",
                "attempt": 0,
                "pod": "",
                "startTime": "",
            }
            | {
                "completionTime": "",
                "progress": 0,
                "eta": "",
                "metrics": {},
                "reason": "GpuQuota",
                "message": "waits for a GPU",
            },
        ],
        "places": {},
        "conditions": [
            {"type": kind, "status": "Unknown", "reason": "Done", "message": ""}
            for kind in ("Complete", "Failed")
        ],
    }
    listed = json.loads(cluster("status", "-o", "json").stdout)
    assert set(listed) == {"format", "namespace", "requests"}
    assert set(listed["requests"][0]) == {*document, "uid", "created"}


def test_names_alone_can_be_given_to_kubectl(cluster):
    cluster.create()
    names = cluster("status", "-o", "name").stdout.split()
    assert names == ["trainingrequest.tunesmith.dev/riddles"]
    assert cluster.kubectl("get", names[0], "-o", "name").split() == names


def test_a_request_that_no_controller_has_seen_is_pending(cluster):
    cluster.create()
    assert cluster("status", "riddles").stdout.startswith(f"request riddles in {cluster.namespace}: Pending")


def test_a_wrong_name_is_met_with_the_right_one(cluster):
    cluster.create()
    assert "did you mean 'riddles'?" in cluster("status", "ridles", expect=66).stderr


def test_fields_of_a_newer_controller_are_passed_over(cluster):
    from tunesmith_cli.cluster.requests import status_of

    assert (
        status_of(
            {
                "status": {
                    "phase": "Running",
                    "novel": {"a": 1},
                    "outputs": {"novel": ""},
                    "stages": [{"name": "train", "key": "k", "new": 1}],
                }
            }
        ).phase
        == "Running"
    )


def test_exit_status_is_that_of_the_request(cluster):
    cluster.create(status={"phase": "Failed", "conditions": [condition("Failed", reason="BadData")]})
    cluster("status", "riddles")
    cluster("status", "riddles", "--exit-status", expect=1)


def test_a_watch_prints_a_line_per_change_and_ends_with_the_request(cluster):
    cluster.create()

    def controller():
        time.sleep(1)
        cluster.status("riddles", **RUNNING)
        time.sleep(0.5)
        cluster.status("riddles", **RUNNING, eta=NOW)  # nothing that is shown
        time.sleep(0.5)
        failed = {
            "phase": "Failed",
            "reason": "OOMKilled",
            "message": "train needs memory",
            "conditions": [condition("Failed")],
        }
        cluster.status("riddles", **RUNNING | failed)

    thread = threading.Thread(target=controller)
    thread.start()
    lines = cluster("status", "riddles", "-w", "--exit-status", expect=1).stdout.splitlines()
    thread.join()
    assert [line.partition(" ")[2] for line in lines] == [
        "riddles Pending",
        "riddles Running train 45 %, loss 0.412",
        "riddles Failed OOMKilled: train needs memory",
    ]


WATCHED = {"json": json.loads, "yaml": yaml.safe_load}
ENDS = {"failed": (condition("Failed"), 1), "complete": (condition("Complete"), 0)}


@pytest.mark.parametrize(("ended", "expected"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize(("form", "read"), WATCHED.items(), ids=WATCHED)
def test_a_watch_for_scripts_is_a_document_per_change_and_has_the_exit_status(
    scripted, form, read, ended, expected
):
    scripted.answers[ONE] = request()
    scripted.answers[REQUESTS] = listed(request("2", "Succeeded", [ended]))
    out = scripted("status", "riddles", "-w", "-o", form, "--exit-status", expect=expected).stdout
    documents = out.split("---\n")[1:] if form == "yaml" else out.splitlines()
    assert [read(one)["phase"] for one in documents] == ["Running", "Succeeded"]


@pytest.mark.parametrize("form", ["json", "yaml", "text"])
def test_a_watch_of_what_is_deleted_says_so(scripted, form):
    scripted.answers[ONE] = request()
    scripted.answers[REQUESTS] = listed()
    assert (
        "riddles was deleted"
        in scripted("status", "riddles", "-w", "-o", form, "--exit-status", expect=66).stderr
    )


def test_a_watched_list_outlasts_a_server_that_is_away_and_says_what_is_gone(scripted, monkeypatch):
    monkeypatch.setattr(cluster_watch, "LIST_SECONDS", 0.01)
    columns = [{"name": name} for name in ("Name", "Phase", "Age")]

    def seen(**phases):
        requests = [
            {"cells": [name, phase, "5m"], "object": {"metadata": {"name": name}}}
            for name, phase in phases.items()
        ]
        return {"columnDefinitions": columns, "rows": requests}

    scripted.answers[REQUESTS] = [
        seen(a="Pending", b="Running"),
        503,
        503,
        seen(a="Running", b="Running"),
        seen(b="Running"),
        403,
    ]
    done = scripted("status", "-w", expect=77)
    assert done.stdout.splitlines() == [
        "NAME   PHASE   AGE",
        "a   Pending   5m",
        "b   Running   5m",
        "a   Running   5m",
        "a   deleted",
    ]
    assert done.stderr.count("waiting for it") == 1


def test_a_plugin_means_the_cluster_and_says_kubectl(cluster):
    cluster.create()
    assert "kubectl tunesmith logs riddles -f" in cluster("status", "riddles", plugin=True).stdout
    assert cluster("status", plugin=True, here=False).stderr == "no requests in namespace default\n"


def test_without_a_word_about_a_cluster_this_machines_store_is_meant(cluster):
    cluster.create()
    assert "there is no run 'riddles'" in cluster("status", "riddles", here=False, expect=66).stderr


def test_a_store_and_a_cluster_together_are_refused(cluster):
    assert "leave out one of them" in cluster("status", "--store", "/tmp", expect=64).stderr
