"""`-o json` on a cluster: the members are those of docs/reference/json.md, no more and no less."""

import json

import yaml
from cluster_cli.frozen_run import freeze
from cluster_cli.statuses import NOW
from cluster_cli.test_status import RUNNING
from json_members import wrong


def shown(cluster, *arguments, **more):
    return json.loads(cluster(*arguments, "-o", "json", **more).stdout)


def test_status_of_one_and_of_all(cluster):
    cluster.create(status=RUNNING | {"outputs": {"dataset": "s3://bucket/d"}, "startTime": NOW})
    cluster.create("second")
    one, listed = shown(cluster, "status", "riddles"), shown(cluster, "status")
    assert one["stages"][1]["metrics"]
    assert one["conditions"]
    assert wrong(one, "request") == []
    assert wrong(shown(cluster, "status", "second"), "request") == []
    assert len(listed["requests"]) == 2
    assert wrong(listed, "requests") == []
    assert yaml.safe_load(cluster("status", "riddles", "-o", "yaml").stdout) == one


def test_changes(cluster):
    file = cluster.write()
    documents = [shown(cluster, "submit", file)]
    freeze(cluster)
    edited = cluster.write(changes={"training.learningRate": 1e-3})
    documents += [shown(cluster, "submit", edited, f"--dry-run={how}") for how in ("client", "server")]
    assert documents[-1]["requests"][0]["changes"]
    documents += [
        shown(cluster, "rerun", "riddles", "--from", "train", "--dry-run"),
        shown(cluster, "rerun", "riddles", "--from", "train"),
    ]
    documents += [shown(cluster, act, "riddles") for act in ("suspend", "resume")]
    documents += [shown(cluster, "retry", "riddles", expect=64), shown(cluster, "delete", "riddles")]
    assert documents[-2]["failed"]
    assert [wrong(one, "change") for one in documents if wrong(one, "change")] == []


def test_events(cluster):
    uid = cluster.create()["metadata"]["uid"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "riddles.1"},
        "involvedObject": {
            "apiVersion": "tunesmith.dev/v1alpha1",
            "kind": "TrainingRequest",
            "name": "riddles",
            "uid": uid,
        },
        "reason": "Started",
        "message": "train",
        "type": "Normal",
        "lastTimestamp": NOW,
    }
    event["involvedObject"]["namespace"] = cluster.namespace
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(event))
    document = shown(cluster, "events", "riddles")
    assert document["events"]
    assert wrong(document, "events") == []


def test_version(cluster):
    assert wrong(shown(cluster, "version", here=False), "version") == []
