"""Each failure that a user can fix: what kubectl shows, how soon, and that the request then resumes.

The causes are produced for real: a key that the teacher refuses, a bucket that is not there, a limit that the
kernel enforces. docs/how-to/failures.md is the table of what was seen; `TUNESMITH_WRITE_DOCS=1` writes it
again.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from e2e.base import of_the_store, store_keys
from e2e.release import ROOT, Release, run_in_pod
from e2e.small import TASK, small

SECONDS = 60  # from the cause being visible to the cluster until the request says it
PAGE = ROOT / "docs/how-to/failures.md"


def secret(release: Release, name: str, **values: str) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
    release.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(body))


def teacher_key(release: Release, *, good: bool) -> None:
    secret(
        release,
        "e2e-teacher",
        apiKey=release.secret("tunesmith-tryout-teacher")["apiKey"] if good else "sk-wrong",
    )


def quota(release: Release, *, pods: int) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "e2e"},
        "spec": {"hard": {"pods": str(pods)}},
    }
    release.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(body))


def bucket(release: Release, *, there: bool) -> None:
    script = """
import boto3
name = 'e2e-missing'
s3 = boto3.client('s3')
if name in [bucket['Name'] for bucket in s3.list_buckets()['Buckets']]:
    for page in s3.get_paginator('list_objects_v2').paginate(Bucket=name):
        for item in page.get('Contents', []):
            s3.delete_object(Bucket=name, Key=item['Key'])
    s3.delete_bucket(Bucket=name)
"""
    if there:
        script += "s3.create_bucket(Bucket=name)\n"
    run_in_pod(release, script, of_the_store(release))


def fix_image(release: Release) -> None:
    release.install("--set", "profiles.no-image.images.generate=localhost/tunesmith-generate:dev")


@dataclass(frozen=True)
class Fault:
    """`reason` and `words` must be in the status; `waits`: the request waits with them, and is not Failed."""

    cause: str
    spec: dict[str, Any]
    reason: str
    words: tuple[str, ...]
    waits: bool = False
    prepare: Callable[[Release], None] = field(default=lambda _release: None)
    fix: Callable[[Release], None] = field(default=lambda _release: None)
    edit: dict[str, Any] | None = None  # the spec that is applied to fix it
    change: str = ""  # what that edit changes, in words
    retry: bool = False  # `kubectl tunesmith retry` is needed afterwards
    seconds: float = 90.0  # what the stages before the fault may take
    alone: bool = False  # it and other tests would disturb each other


def only(stage: str, **settings: Any) -> dict[str, Any]:
    return {"stages": {stage: settings}}


FAULTS = [
    Fault(
        cause="the teacher refuses the key",
        spec=small(profile="bad-key"),
        reason="TeacherKeyRefused",
        words=("retry",),
        prepare=lambda release: teacher_key(release, good=False),
        fix=lambda release: teacher_key(release, good=True),
        retry=True,
    ),
    Fault(
        cause="the bucket does not exist",
        spec=small(profile="no-bucket"),
        reason="BucketMissing",
        words=("e2e-missing",),
        prepare=lambda release: bucket(release, there=False),
        fix=lambda release: bucket(release, there=True),
        retry=True,
    ),
    Fault(
        cause="a Secret does not exist",
        spec=small(profile="no-secret"),
        reason="SecretMissing",
        words=("e2e-store",),
        waits=True,
        prepare=lambda release: (
            release.kubectl("delete", "secret", "e2e-store", "--ignore-not-found") and None
        ),
        fix=lambda release: secret(release, "e2e-store", **store_keys(release)),
        alone=True,
    ),
    Fault(
        cause="an image does not exist",
        spec=small(profile="no-image"),
        reason="ImagePullFailed",
        words=("localhost/tunesmith-nothing:dev",),
        waits=True,
        prepare=lambda release: release.install(),
        fix=fix_image,
        retry=True,
        alone=True,
    ),
    Fault(
        cause="the memory limit is too small",
        spec=small()
        | only("generate", resources={"limits": {"memory": "48Mi"}, "requests": {"memory": "48Mi"}}),
        reason="OOMKilled",
        words=("stages.generate.resources",),
        edit=small(),
        change="more memory in `stages.generate.resources`",
        seconds=150,
    ),
    Fault(
        cause="nobody has that many GPUs",
        spec=small() | only("generate", resources={"limits": {"nvidia.com/gpu": "16"}}),
        reason="Unschedulable",
        words=("nvidia.com/gpu",),
        waits=True,
        edit=small(),
        change="no more GPUs in `stages.generate.resources` than a node has",
    ),
    Fault(
        cause="no GPU is visible to `device: cuda`",
        spec=small(training={"device": "cuda"}) | only("train", retries=0),
        reason="NoGPU",
        words=("training.device",),
        edit=small(training={"device": "cpu"}),
        change="`training.device: cpu`, or with a GPU in `stages.train.resources`",
        seconds=150,
    ),
    Fault(
        cause="the namespace's quota is used up",
        spec=small(),
        reason="QuotaExceeded",
        words=("e2e",),
        waits=True,
        prepare=lambda release: quota(release, pods=0),
        fix=lambda release: release.kubectl("delete", "resourcequota", "e2e") and None,
        alone=True,
    ),
    Fault(
        cause="the deadline has passed",
        spec=small() | only("generate", activeDeadlineSeconds=1),
        reason="DeadlineExceeded",
        words=("stages.generate.activeDeadlineSeconds",),
        edit=small(),
        change="a longer `stages.generate.activeDeadlineSeconds`",
    ),
]


@pytest.fixture
def name(tryout: Release, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a request for this fault; the request is gone afterwards."""
    name = "fault-" + str(FAULTS.index(request.node.callspec.params["fault"]))
    tryout.kubectl("delete", "treq", name, "--ignore-not-found", "--wait")
    yield name
    tryout.kubectl("delete", "treq", name, "--ignore-not-found", "--wait=false")
    tryout.kubectl("delete", "resourcequota", "e2e", "--ignore-not-found")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=fault.cause, marks=[pytest.mark.alone] if fault.alone else [])
        for fault in FAULTS
    ],
)
def test_the_request_says_what_happened_and_resumes_once_the_cause_is_fixed(tryout, fault, name):
    fault.prepare(tryout)
    task = f"{TASK} This is {name}."  # by which the teacher counts
    tryout.apply(name, **fault.spec | {"task": task})
    status = tryout.until(
        f"{name} says {fault.reason}",
        lambda: says(tryout.request(name), fault.reason),
        fault.seconds + SECONDS,
    )
    if not fault.waits:  # it says the same while its Job tries again and once that is over
        status = tryout.until(f"{name} has failed", lambda: failed(tryout.request(name), fault.reason), 240)
    described = tryout.kubectl("describe", "treq", name).stdout
    shown = tryout.kubectl("get", "treq", name, "-o", "wide").stdout
    assert fault.reason in shown, shown
    for word in fault.words:
        assert word in status["message"], status["message"]
        assert word in described
    assert (status["phase"] == "Failed") is not fault.waits, status
    write_down(fault, status)

    attempts = {row["name"]: row["attempt"] for row in status["stages"]}
    before, paid = done_rows(status), tryout.paid(task)
    fault.fix(tryout)
    if fault.edit is not None:
        tryout.apply(name, **fault.edit | {"task": task})
    if fault.retry:
        tryout.tunesmith("retry", name)
    after = tryout.until(
        f"{name} resumes", lambda: resumes(tryout.request(name), status["stage"]), timeout=180
    )
    assert {row["name"]: row["attempt"] for row in after["stages"]}[status["stage"]] >= attempts[
        status["stage"]
    ]
    assert before.items() <= done_rows(after).items(), "what was done is not done again"
    if before:
        assert tryout.paid(task) == paid > 0, "a dataset that is there is not paid for again"


def done_rows(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Stages that have succeeded: their key, and when they had."""
    return {
        row["name"]: (row["key"], row.get("completionTime", ""))
        for row in status["stages"]
        if row["phase"] == "Succeeded"
    }


def says(request: dict[str, Any], reason: str) -> dict[str, Any] | None:
    status = request.get("status", {})
    return status if status.get("reason") == reason else None


def failed(request: dict[str, Any], reason: str) -> dict[str, Any] | None:
    status = request.get("status", {})
    return status if status.get("phase") == "Failed" and status.get("reason") == reason else None


def resumes(request: dict[str, Any], stage: str) -> dict[str, Any] | None:
    """The status once the stage has succeeded."""
    status = request["status"]
    rows = {row["name"]: row["phase"] for row in status["stages"]}
    return status if rows.get(stage) == "Succeeded" else None


SEEN: dict[str, dict[str, Any]] = {}


def write_down(fault: Fault, status: dict[str, Any]) -> None:
    SEEN[fault.cause] = status


@pytest.mark.alone  # so that it runs after all of them
def test_the_page_of_failures_is_what_was_seen():
    if len(SEEN) < len(FAULTS):
        pytest.skip("only some of the faults were tried")
    seen = [(fault, SEEN[fault.cause]) for fault in FAULTS]
    rows = [
        f"| {fault.cause} | {status['phase']} | `{status['reason']}` | {after_fixing(fault)} |"
        for fault, status in seen
    ]
    if os.environ.get("TUNESMITH_WRITE_DOCS") == "1":
        head, _, _ = PAGE.read_text(encoding="utf-8").partition("| cause")
        PAGE.write_text(
            head
            + "| cause | phase | reason | after fixing it |\n| --- | --- | --- | --- |\n"
            + "\n".join(rows)
            + "\n",
            encoding="utf-8",
        )
    text = PAGE.read_text(encoding="utf-8")
    assert [row for row in rows if row not in text] == []


def after_fixing(fault: Fault) -> str:
    if fault.edit is not None:
        return f"apply the request with {fault.change}: the stage gets another attempt"
    if fault.retry:
        return "`kubectl tunesmith retry NAME`"
    return "nothing: it continues by itself"
