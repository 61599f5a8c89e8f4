"""The fake node: Jobs whose pods nothing runs end as the test says."""

import json
import time

import pytest
import yaml
from kwok import PREFIX, Behaviour

from tunesmith import wire
from tunesmith.events import Result, parse


def job(name: str, *, stage: str = "", key: str = "k1", gpus: int = 0, **annotations: str) -> dict:
    labels = {wire.STAGE: stage, wire.KEY: key, wire.ATTEMPT: "2"} if stage else {}
    container = {
        "name": wire.CONTAINER,
        "image": "x",
        "resources": {"limits": {"nvidia.com/gpu": gpus}} if gpus else {},
    }
    told = {PREFIX + name.replace("_", "-"): value for name, value in annotations.items()}
    pod = {
        "metadata": {"labels": labels, "annotations": told},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": pod},
    }


def ended(plane, namespace: str, name: str, seconds: float = 60) -> dict:
    """The `terminated` of the pod's container, once the Job has ended too."""
    deadline = time.monotonic() + seconds
    while True:
        conditions = json.loads(plane.kubectl("get", "job", name, "-n", namespace, "-o=json").stdout)[
            "status"
        ].get("conditions", [])
        if {"Complete", "Failed"} & {
            condition["type"] for condition in conditions if condition["status"] == "True"
        }:
            break
        assert time.monotonic() < deadline, plane.kubectl("describe", "pods", "-n", namespace).stdout
        time.sleep(0.1)
    (pod,) = json.loads(
        plane.kubectl("get", "pods", f"-l=job-name={name}", "-n", namespace, "-o=json").stdout
    )["items"]
    return pod["status"]["containerStatuses"][0]["state"]["terminated"]


DONE = Result(stage="train", key="k1", attempt="a2", manifest="s3://fake/train/k1/manifest.json")
FAKE = Result(
    stage="train", key="k1", attempt="a2", exit_code=75, reason="Fake", message="a fake train ended with 75"
)
ENDS = {
    # what the pod says                                           -> exit code, reason, termination message
    "a pod of no stage completes without a message": (job("j"), 0, "Completed", None),
    "a pod of a stage completes with a Result": (job("j", stage="train"), 0, "Completed", DONE),
    "metrics go into the Result": (
        job("j", stage="train", metrics='{"loss": 0.25}'),
        *(0, "Completed", DONE.model_copy(update={"metrics": {"loss": 0.25}})),
    ),
    "a pod fails with an exit code and says it": (job("j", stage="train", exit_code="75"), 75, "Error", FAKE),
    "a message of one's own is kept to the byte": (
        job("j", stage="train", message='{"a": "ä`\\"{{"}'),
        0,
        "Completed",
        '{"a": "ä`\\"{{"}',
    ),
    "an empty message counts as no message": (
        job("j", stage="train", exit_code="137", reason="OOMKilled", message=""),
        137,
        "OOMKilled",
        None,
    ),
    "a pod that asks for GPUs has them": (job("j", gpus=8), 0, "Completed", None),
}


@pytest.mark.parametrize(("manifest", "code", "reason", "message"), ENDS.values(), ids=ENDS)
def test_a_pod_ends_as_its_annotations_say(control_plane, fake_nodes, manifest, code, reason, message):
    namespace = control_plane.namespace()
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(manifest))
    end = ended(control_plane, namespace, "j")
    said = end.get("message")
    assert (end["exitCode"], end["reason"], parse(said) if isinstance(message, Result) else said) == (
        code,
        reason,
        message,
    )


def test_pods_of_others_do_as_the_test_says_for_as_long_as_it_says(control_plane, fake_nodes):
    namespace = control_plane.namespace()
    told = Behaviour({wire.STAGE: "train"}, namespace, seconds=0.2, exit_code=78, message='ümlaut `{{ "x"')
    with fake_nodes.behave(told, Behaviour({wire.STAGE: "merge"}, metrics={"shards": 3.0})):
        for name, stage in (("t", "train"), ("m", "merge"), ("g", "generate")):
            control_plane.kubectl(
                "apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(job(name, stage=stage))
            )
        ends = [ended(control_plane, namespace, name) for name in ("t", "m", "g")]
    assert [end["exitCode"] for end in ends] == [78, 0, 0]
    assert (ends[0]["message"], parse(ends[1]["message"]).metrics, parse(ends[2]["message"]).metrics) == (
        told.message,
        {"shards": 3.0},
        {},
    )
    control_plane.kubectl(
        "apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(job("again", stage="train"))
    )
    assert ended(control_plane, namespace, "again")["exitCode"] == 0


def test_a_deleted_pod_ends_with_143_and_the_job_makes_another(control_plane, fake_nodes):
    namespace = control_plane.namespace()
    manifest = job("j", runs="60s")
    manifest["spec"]["backoffLimit"] = 3
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(manifest))
    control_plane.kubectl(
        "wait", "job/j", "-n", namespace, "--for=jsonpath={.status.ready}=1", "--timeout=60s"
    )
    first = control_plane.kubectl("get", "pods", "-n", namespace, "-o=name").stdout.strip()
    control_plane.kubectl("delete", first, "-n", namespace, "--timeout=60s")
    control_plane.kubectl(
        "wait", "job/j", "-n", namespace, "--for=jsonpath={.status.failed}=1", "--timeout=60s"
    )
    control_plane.kubectl(
        "wait", "job/j", "-n", namespace, "--for=jsonpath={.status.ready}=1", "--timeout=60s"
    )
    assert control_plane.kubectl("get", "pods", "-n", namespace, "-o=name").stdout.strip() != first


def test_two_hundred_jobs_complete(control_plane, fake_nodes):
    namespace, count = control_plane.namespace(), 200
    begun = time.monotonic()
    documents = yaml.safe_dump_all(job(f"j{number}", stage="train", gpus=1) for number in range(count))
    control_plane.kubectl("create", "-n", namespace, "-f", "-", stdin=documents)
    created = time.monotonic() - begun
    # `kubectl wait` would ask for each Job by itself, and wait for its own rate limit
    succeeded = "-o=jsonpath={.items[*].status.succeeded}"
    while (
        done := len(control_plane.kubectl("get", "jobs", "-n", namespace, succeeded).stdout.split())
    ) < count:
        assert time.monotonic() < begun + 120, f"{done} of {count} after 120 s"
        time.sleep(0.5)
    print(f"{count} Jobs created in {created:.1f} s, all Complete after {time.monotonic() - begun:.1f} s")
    pods = json.loads(control_plane.kubectl("get", "pods", "-n", namespace, "-o=json").stdout)["items"]
    results = [parse(pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]) for pod in pods]
    assert results == [DONE] * count
