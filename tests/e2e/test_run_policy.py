"""Edits, suspension and runs taken up again: only what changed runs, and nothing is paid for twice."""

import time

import pytest
from e2e.small import TASK, small

RUN = {
    "run": "e2e-kept",
    "task": f"{TASK} In a run that is kept.",
}  # a task of its own, by which the teacher counts


def stages_of(jobs) -> list[str]:
    return sorted(job["metadata"]["labels"]["tunesmith.dev/stage"] for job in jobs)


def succeeded(tryout, name: str, generation: int) -> dict:
    """The request once this generation has Succeeded.

    The bound is a slow machine's, where the first of them waits until the quickstart's training gives its CPU
    back.
    """

    def reached():
        request = tryout.request(name)
        status = request.get("status", {})
        seen = (
            request["metadata"]["generation"] >= generation
            and status.get("observedGeneration") == request["metadata"]["generation"]
        )
        assert status.get("phase") != "Failed", status
        return request if seen and status.get("phase") == "Succeeded" else None

    return tryout.until(f"{name} has succeeded at generation {generation}", reached, timeout=1000, every=2)


@pytest.fixture(scope="module")
def kept(tryout):
    """A finished request whose run has a name of its own."""
    tryout.tunesmith("delete", "kept", "--data", "--yes", check=False)
    tryout.apply("kept", **small(**RUN))
    return succeeded(tryout, "kept", 1)


@pytest.mark.timeout(1200)
def test_a_run_is_where_its_name_says(kept):
    outputs = kept["status"]["outputs"]
    assert all("/default/e2e-kept/" in outputs[name] for name in ("dataset", "adapter", "model", "report")), (
        outputs
    )


@pytest.mark.timeout(1200)
def test_an_edit_runs_only_what_it_changes_and_taking_it_back_runs_nothing(tryout, kept):
    paid = tryout.paid(RUN["task"])
    tryout.apply("kept", **small(merge={"dtype": "float32"}, **RUN))
    succeeded(tryout, "kept", 2)
    assert stages_of(tryout.jobs("kept")) == ["evaluate", "evaluate", "generate", "merge", "merge", "train"]
    tryout.apply("kept", **small(**RUN))
    succeeded(tryout, "kept", 3)
    assert stages_of(tryout.jobs("kept")) == ["evaluate", "evaluate", "generate", "merge", "merge", "train"]
    assert tryout.paid(RUN["task"]) == paid > 0


@pytest.mark.timeout(1200)
def test_a_request_that_is_deleted_and_applied_again_takes_up_its_run(tryout, kept):
    paid = tryout.paid(RUN["task"])
    tryout.kubectl("delete", "treq", "kept", "--wait")
    tryout.until("its Jobs are gone", lambda: not tryout.jobs("kept"), timeout=60)
    began = time.monotonic()
    tryout.apply("kept", **small(**RUN))
    request = succeeded(tryout, "kept", 1)
    print(f"taken up again in {time.monotonic() - began:.0f} s")
    assert request["metadata"]["uid"] != kept["metadata"]["uid"]
    assert stages_of(tryout.jobs("kept")) == ["generate"], "only the first stage looks into the store"
    assert tryout.paid(RUN["task"]) == paid > 0


@pytest.mark.timeout(1200)
def test_a_suspended_request_has_no_pod_and_goes_on_when_it_is_resumed(tryout):
    tryout.kubectl("delete", "treq", "paused", "--ignore-not-found", "--wait")
    tryout.apply("paused", **small(training={"maxSteps": 60}))
    tryout.until(
        "train runs", lambda: tryout.request("paused").get("status", {}).get("stage") == "train", timeout=200
    )
    time.sleep(10)
    tryout.tunesmith("suspend", "paused")
    status = tryout.until("it is suspended", lambda: phase(tryout, "paused", "Suspended"), timeout=120)
    tryout.until("nothing of it runs", lambda: not live(tryout, "paused"), timeout=120)
    assert status["stage"] == "train"
    tryout.tunesmith("resume", "paused")
    request = tryout.wait_for_end("paused", timeout=400)
    rows = {row["name"]: row["attempt"] for row in request["status"]["stages"]}
    assert request["status"]["phase"] == "Succeeded", request["status"]
    assert rows["generate"] == 1
    assert rows["train"] == 2


@pytest.mark.timeout(300)
def test_those_that_generate_share_the_teacher_and_those_that_run_are_told(tryout):
    names = ("shares-1", "shares-2")
    tryout.kubectl("delete", "treq", *names, "--ignore-not-found", "--wait")

    def says(name: str, rate: int) -> bool:
        log = tryout.kubectl("logs", "-l", f"tunesmith.dev/request={name}", "--tail=-1", check=False).stdout
        told = [line for line in log.splitlines() if "requests a minute to the teacher" in line]
        return bool(told) and f"at most {rate} requests" in told[-1]

    many = small(data={"examples": 200})  # five minutes with all of the teacher
    tryout.apply(names[0], **many, profile="shared-teacher")
    tryout.until("the first has all of the teacher", lambda: says(names[0], 40), timeout=90)
    tryout.apply(names[1], **many, profile="shared-teacher")
    began = time.monotonic()
    tryout.until("the second has its half", lambda: says(names[1], 20), timeout=90)
    tryout.until("the first is told", lambda: says(names[0], 20), timeout=90)
    print(f"both have their half {time.monotonic() - began:.0f} s after the second was applied")
    tryout.kubectl("delete", "treq", names[1], "--wait")
    tryout.until("the first has all of it again", lambda: says(names[0], 40), timeout=90)
    tryout.kubectl("delete", "treq", names[0])


def phase(tryout, name: str, wanted: str) -> dict | None:
    status = tryout.request(name).get("status", {})
    return status if status.get("phase") == wanted else None


def live(tryout, name: str) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in tryout.pods(name)
        if pod["status"]["phase"] in ("Pending", "Running")
    ]


REFUSED = {
    "the profile's key to an endpoint of its own": (
        {
            "data": {
                "teacher": {
                    "baseURL": "https://elsewhere.example/v1",
                    "secret": {"name": "tunesmith-tryout-teacher"},
                }
            }
        },
        ["spec.data.teacher.baseURL", "spec.data.teacher.secret"],
    ),
    "a variable": (
        {"stages": {"train": {"env": {"WANDB_MODE": "online"}}}},
        ["spec.stages.train.env.WANDB_MODE"],
    ),
    "a variable that says where secrets go": (
        {"stages": {"generate": {"env": {"HTTPS_PROXY": "http://elsewhere.example"}}}},
        ["spec.stages.generate.env.HTTPS_PROXY"],
    ),
    "a priority class": (
        {"stages": {"train": {"priorityClassName": "system-node-critical"}}},
        ["spec.stages.train.priorityClassName"],
    ),
    "a bucket of others": ({"data": {"source": {"uri": "s3://others/rows.jsonl"}}}, ["spec.data.source.uri"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_profile_does_not_allow_is_refused_by_name(tryout, what):
    changes, paths = REFUSED[what]
    tryout.kubectl("delete", "treq", "refused", "--ignore-not-found", "--wait")
    tryout.apply("refused", **small(**changes))
    status = tryout.until("it is refused", lambda: phase(tryout, "refused", "Failed"), timeout=60)
    for path in paths:
        assert path in status["message"], status["message"]
    assert {condition["type"]: condition["status"] for condition in status["conditions"]}[
        "Accepted"
    ] == "False"
    assert tryout.jobs("refused") == []
    tryout.kubectl("delete", "treq", "refused")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"data": {"teacher": {"secret": {"name": "others/teacher"}}}}, "spec.data.teacher.secret.name"),
        ({"stages": {"train": {"serviceAccountName": "admin"}}}, "serviceAccountName"),
    ],
    ids=["another namespace's Secret", "a service account"],
)
def test_what_no_request_can_say_is_refused_at_once(tryout, changes, field):
    with pytest.raises(Exception, match=field.replace(".", r"\.")):
        tryout.apply("refused", **small(**changes))
