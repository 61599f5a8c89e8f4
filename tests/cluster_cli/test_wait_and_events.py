"""`wait` ends as soon as the request does, with a code for each end; `events` is a timeline."""

import json
import threading
import time

import pytest
from cluster_cli.statuses import condition

from tunesmith.errors import Usage
from tunesmith_cli.commands.wait import seconds_of

ENDS = {
    "complete": ([condition("Complete")], 0, "riddles is complete\n"),
    "failed": ([condition("Failed")], 1, "riddles has failed (OOMKilled)\n"),
}


@pytest.mark.parametrize(("conditions", "code", "said"), ENDS.values(), ids=ENDS)
def test_it_ends_with_the_request(cluster, conditions, code, said):
    cluster.create(status={"phase": "Running"})
    timer = threading.Timer(
        1, lambda: cluster.status("riddles", reason="OOMKilled" if code else "", conditions=conditions)
    )
    timer.start()
    began = time.monotonic()
    assert cluster("wait", "riddles", "--timeout", "60s", expect=code).stdout == said
    assert time.monotonic() - began < 30
    timer.join()


def test_when_the_time_is_over_the_code_is_another(cluster):
    cluster.create(status={"phase": "Running", "stage": "train", "progress": 3})
    assert (
        "has not ended within 1s: Running, train 3 %"
        in cluster("wait", "riddles", "--timeout", "1s", expect=75).stderr
    )


def test_a_deleted_request_ends_the_wait(cluster):
    cluster.create(status={"phase": "Running"})
    timer = threading.Timer(1, lambda: cluster.kubectl("delete", "treq", "riddles"))
    timer.start()
    assert "riddles was deleted" in cluster("wait", "riddles", "--timeout", "60s", expect=66).stderr
    timer.join()


def test_an_end_of_an_earlier_generation_is_not_waited_out(cluster):
    cluster.create(status={"conditions": [condition("Complete")]})
    cluster.kubectl("patch", "treq", "riddles", "--type=merge", "-p", '{"spec": {"data": {"examples": 5}}}')
    cluster("wait", "riddles", "--timeout", "1s", expect=75)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("", None)]
)
def test_times_are_read_as_kubectl_reads_them(text, seconds):
    assert seconds_of(text) == seconds


def test_no_time_is_refused():
    with pytest.raises(Usage, match="such as 90s"):
        seconds_of("soon")


def test_events_are_those_of_the_request_and_its_jobs_in_order(cluster):
    uid = cluster.create(
        status={
            "stages": [{"name": "train", "key": "k", "job": "riddles-train-1", "pod": "riddles-train-1-x"}]
        }
    )["metadata"]["uid"]
    about = [
        ("TrainingRequest", "riddles", uid),
        ("Job", "riddles-train-1", "j"),
        ("Pod", "riddles-train-1-x", "p"),
        ("Pod", "other", "o"),
    ]
    for number, (kind, name, owner) in enumerate(about):
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{number}", "namespace": cluster.namespace},
            "involvedObject": {"kind": kind, "name": name, "namespace": cluster.namespace, "uid": owner},
            "reason": f"Reason{number}",
            "message": "two\nlines",
            "type": "Warning",
            "lastTimestamp": f"2026-01-02T03:04:{10 - number:02}Z",
        }
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(event))
    lines = [line.split() for line in cluster("events", "riddles").stdout.splitlines()]
    assert [line[2:4] for line in lines[1:]] == [
        ["Reason2", "pod/riddles-train-1-x"],
        ["Reason1", "job/riddles-train-1"],
        ["Reason0", "trainingrequest/riddles"],
    ]
    events = json.loads(cluster("events", "riddles", "-o", "json").stdout)["events"]
    assert events[0] == {
        "time": "2026-01-02T03:04:08Z",
        "type": "Warning",
        "reason": "Reason2",
        "object": "pod/riddles-train-1-x",
        "message": "two\nlines",
        "count": 1,
    }
