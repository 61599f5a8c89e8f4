"""`logs` over pods that cannot be read, servers that are away, and nodes that are not in UTC."""

import contextlib
import json
from types import SimpleNamespace

import pytest
from cluster_cli.finished_run import MADE
from cluster_cli.scripted_api import Raw
from cluster_cli.statuses import condition, row
from cluster_cli.test_api import ONE, request

from tunesmith.errors import Gone, Refused
from tunesmith_cli.cluster import logs

PODS, JOBS = "/api/v1/namespaces/team/pods", "/apis/batch/v1/namespaces/team/jobs"
ENDED = {"containerStatuses": [{"name": "stage", "state": {"terminated": {"exitCode": 0}}}]}


def pod(name, stage="train", phase="Succeeded", **status):
    labels = {"tunesmith.dev/request": "riddles", "tunesmith.dev/stage": stage, "tunesmith.dev/attempt": "1"}
    metadata = {
        "name": name,
        "uid": name,
        "labels": labels,
        "ownerReferences": [{"uid": "job"}],
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    return {"metadata": metadata, "status": {"phase": phase} | (status or ENDED)}


def line(second, text, zone="Z"):
    return f"2026-01-02T03:04:{second:012.9f}{zone} {text}\n".encode()


@pytest.fixture
def world(scripted, monkeypatch):
    """A request whose Job is `job`; what the store keeps is in `kept`."""
    scripted.answers[JOBS] = {"items": [{"metadata": {"uid": "job", "ownerReferences": [{"uid": "u1"}]}}]}
    monkeypatch.setattr(logs, "POLL_SECONDS", 0.01)
    scripted.kept = {}

    @contextlib.contextmanager
    def opened(*_, **__):
        if isinstance(scripted.kept, Exception):
            raise scripted.kept
        yield SimpleNamespace(
            log=lambda run, stage, key: scripted.kept[stage] if stage in scripted.kept else absent()
        )

    monkeypatch.setattr("tunesmith_cli.cluster.runs.opened", opened)
    data = SimpleNamespace(snapshot=MADE, store="s3://b")
    monkeypatch.setattr("tunesmith_cli.cluster.run_data.run_data", lambda *_: data)

    def pods(*items, stages=(), **status):
        whole = request(**status)
        whole["status"]["stages"] = list(stages)
        scripted.answers[ONE] = whole
        scripted.answers[PODS] = {"items": list(items)}
        for one in items:
            scripted.answers[f"{PODS}/{one['metadata']['name']}"] = one

    scripted.pods = pods
    return scripted


def absent():
    raise Gone("holds no log")


BAD = {
    "rejected before its container": (
        pod("bad", phase="Failed", reason="Evicted", message="The node was low on disk."),
        400,
    ),
    "on a lost node": (pod("bad", phase="Running"), 502),
    "gone meanwhile": (pod("bad", phase="Failed"), 404),
}


@pytest.mark.parametrize(("bad", "code"), BAD.values(), ids=BAD)
def test_a_pod_that_cannot_be_read_is_said_and_the_others_are_shown(world, bad, code):
    world.pods(bad, pod("good"))
    world.answers |= {f"{PODS}/bad/log": code, f"{PODS}/good/log": Raw(line(1, "trained"))}
    done = world("logs", "riddles", "--stage", "train")
    assert done.stdout == "trained\n"
    assert "pod bad (train) has no log to read: " in done.stderr
    assert ("low on disk" in done.stderr) is (code == 400)


def test_where_no_pod_can_be_read_the_store_is_asked(world):
    world.pods(pod("bad", phase="Failed"))
    world.answers[f"{PODS}/bad/log"] = 400
    world.kept = {"train": "trained\n"}
    assert world("logs", "riddles", "--stage", "train").stdout == "trained\n"


def test_stages_whose_pods_are_gone_come_from_the_store(world):
    world.pods(
        pod("good", phase="Running"),
        stages=[row("generate"), row("train", "Running"), row("merge", "Pending")],
    )
    world.answers[f"{PODS}/good/log"] = Raw(line(1, "reading"))
    world.kept = {"generate": "wrote\n"}
    done = world("logs", "riddles")
    assert done.stdout.splitlines() == [
        "==> train, attempt 1, pod good <==",
        "reading",
        "==> generate <==",
        "wrote",
    ]


def test_a_store_that_cannot_be_asked_takes_nothing_from_what_was_shown(world):
    world.pods(pod("good"), stages=[row("generate"), row("train")])
    world.answers[f"{PODS}/good/log"] = Raw(line(1, "reading"))
    world.kept = Refused("you may not create pods")
    done = world("logs", "riddles")
    assert "reading" in done.stdout
    assert "not shown: generate, whose pods are gone: you may not create pods" in done.stderr


def test_a_pod_that_has_said_nothing_yet_is_no_reason_to_ask_the_store(world):
    world.pods(pod("good", phase="Running"), stages=[row("train", "Running")])
    world.answers[f"{PODS}/good/log"] = Raw()
    world.kept = Refused("nobody asks")
    assert world("logs", "riddles").stdout == ""


def test_following_goes_on_over_a_server_that_is_away(world):
    world.pods(pod("good"), stages=[row("train")])
    world.answers[PODS] = [503, 500, world.answers[PODS]]
    whole = world.answers[f"{PODS}/good"]
    running = json.loads(json.dumps(whole)) | {"status": {"phase": "Running"}}
    world.answers[f"{PODS}/good/log"] = [Raw(line(1, "first")), Raw(line(1, "first") + line(2, "second"))]
    world.answers[f"{PODS}/good"] = [
        503,
        running,
        whole,
    ]  # what tells whether it has ended, after the first connection
    done = world("logs", "riddles", "--stage", "train", "-f")
    assert done.stdout.splitlines() == ["first", "second"], "no line twice, and none missing"


def test_following_ends_although_a_pod_cannot_be_read_and_says_so(world):
    world.pods(pod("lost", phase="Running", **ENDED), pod("good"), conditions=[condition("Complete")])
    world.answers |= {f"{PODS}/lost/log": 502, f"{PODS}/good/log": Raw(line(1, "trained"))}
    done = world("logs", "riddles", "--stage", "train", "-f")
    assert done.stdout == "trained\n"
    assert done.stderr.count("pod lost (train) has no log to read") == 1


def test_a_node_that_is_not_in_utc_is_asked_for_what_is_missing(world):
    world.pods(pod("good"), stages=[row("train")])
    whole = world.answers[f"{PODS}/good"]
    world.answers[f"{PODS}/good"] = [whole | {"status": {"phase": "Running"}}, whole]
    world.answers[f"{PODS}/good/log"] = [
        Raw(line(1.5, "first", "+05:30")),
        Raw(line(1.25, "a second before", "+05:30") + line(2, "x", "+05:30")),
    ]
    assert world("logs", "riddles", "--stage", "train", "-f").stdout.splitlines() == ["first", "x"]
    assert world.plane.times(f"{PODS}/good/log", sinceTime="2026-01-01T21:34:01Z") == 1


STAMPS = {
    "2026-01-02T03:04:05.5Z hello": (("2026-01-02T03:04:05", "500000000"), "hello"),
    "2026-01-02T03:04:05Z": (("2026-01-02T03:04:05", "000000000"), ""),
    "2026-01-02T00:30:00.000000001+02:00 a b": (("2026-01-01T22:30:00", "000000001"), "a b"),
    "unable to retrieve container logs": (None, "unable to retrieve container logs"),
}


@pytest.mark.parametrize(("text", "expected"), STAMPS.items(), ids=STAMPS)
def test_a_line_is_told_from_its_stamp(text, expected):
    assert logs.stamped(text) == expected
