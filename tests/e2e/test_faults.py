"""Train's pod, the controller, the API server or the chart dies or changes: nothing is lost or runs twice."""

import json
import random
import time

import pytest
from e2e.base import DEMO
from e2e.release import NAMESPACE
from e2e.small import small

SEED = 20261123
TRAINING = {"maxSteps": 60, "saveSteps": 1}  # enough that train is still running when it is disturbed


def adapter_digest(tryout, name: str, folder) -> str:
    """sha256 of the adapter's weights, as the manifest has it."""
    tryout.tunesmith("fetch", name, "--to", str(folder), "--only", "adapter")
    import hashlib

    [file] = folder.rglob("adapter_model.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def disturbed(tryout, tmp_path_factory):
    """Digest of the adapter of a request whose train pod was deleted at a random step."""
    tryout.kubectl("delete", "treq", "disturbed", "--ignore-not-found", "--wait")
    tryout.apply("disturbed", **small(training=TRAINING))
    row = tryout.until("train has made some steps", lambda: started(tryout, "disturbed"), timeout=300)
    time.sleep(random.Random(SEED).uniform(0, 4))
    tryout.kubectl("delete", "pod", row["pod"])
    status = tryout.wait_for_end("disturbed", timeout=600)["status"]
    assert status["phase"] == "Succeeded", status
    return adapter_digest(tryout, "disturbed", tmp_path_factory.mktemp("disturbed"))


@pytest.mark.timeout(900)
def test_a_deleted_train_pod_goes_on_from_its_last_checkpoint_and_is_no_failure(tryout, disturbed):
    """Whether its adapter equals an undisturbed one is tested below, with a run that is left alone."""
    [job] = tryout.jobs("disturbed", "train")
    assert job["status"].get("failed", 0) == 0, job["status"]
    assert len(tryout.pods("disturbed", "train")) >= 1
    log = tryout.tunesmith("logs", "disturbed", "--stage", "train").stdout
    assert "checkpoint" in log, log


def started(tryout, name: str) -> dict | None:
    """The row of train, once it has reported progress."""
    rows = {row["name"]: row for row in tryout.request(name).get("status", {}).get("stages", [])}
    row = rows.get("train", {})
    return row if row.get("phase") == "Running" and row.get("progress", 0) > 0 else None


@pytest.mark.timeout(1200)
def test_a_controller_killed_ten_times_runs_no_stage_twice(tryout):
    draw = random.Random(SEED)
    tryout.kubectl("delete", "treq", "killed", "--ignore-not-found", "--wait")
    tryout.apply(
        "killed", **small(model={"base": DEMO})
    )  # of thirty layers: it lasts as long as the ten kills
    kills, most = 0, {}
    end = time.monotonic() + 900
    while time.monotonic() < end:
        request = tryout.request("killed")
        count_live(tryout, most)
        if request.get("status", {}).get("phase") in ("Succeeded", "Failed") and kills >= 10:
            break
        if kills < 10:
            kill_a_controller(tryout, draw)
            kills += 1
        time.sleep(draw.uniform(0.5, 6))
    status = tryout.request("killed")["status"]
    assert status["phase"] == "Succeeded", status
    assert kills == 10
    assert max(most.values()) == 1, most
    assert [row["attempt"] for row in status["stages"]] == [1, 1, 1, 1]
    assert len(tryout.jobs("killed")) == 4


def kill_a_controller(tryout, draw: random.Random) -> None:
    """SIGKILL: process 1 of the container cannot be killed from inside, so the pod goes without any grace."""
    selector = "app.kubernetes.io/name=tunesmith,app.kubernetes.io/component=controller"
    pods = json.loads(tryout.kubectl("get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "json").stdout)[
        "items"
    ]
    running = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    if running:
        tryout.kubectl(
            "delete",
            "pod",
            draw.choice(running),
            "-n",
            NAMESPACE,
            "--grace-period=0",
            "--force",
            "--wait=false",
            check=False,
        )


def count_live(tryout, most: dict[str, int]) -> None:
    """The most live Jobs that any stage had at one time."""
    live: dict[str, int] = {}
    for job in tryout.jobs("killed"):
        ended = any(
            condition["type"] in ("Complete", "Failed") for condition in job["status"].get("conditions", [])
        )
        stage = job["metadata"]["labels"]["tunesmith.dev/stage"]
        live[stage] = live.get(stage, 0) + (not ended)
    for stage, count in live.items():
        most[stage] = max(most.get(stage, 0), count)


@pytest.mark.timeout(900)
def test_an_api_server_that_restarts_costs_nothing(tryout):
    if not tryout.cluster.own:
        pytest.skip("somebody else's API server is not restarted")
    tryout.kubectl("delete", "treq", "api", "--ignore-not-found", "--wait")
    tryout.apply("api", **small())
    tryout.until(
        "generate runs",
        lambda: tryout.request("api").get("status", {}).get("phase") == "Running",
        timeout=120,
    )
    tryout.cluster.restart_apiserver()
    status = tryout.wait_for_end("api", timeout=600)["status"]
    assert status["phase"] == "Succeeded", status
    assert len(tryout.jobs("api")) == 4


@pytest.mark.timeout(900)
def test_an_upgrade_that_changes_the_profile_and_its_rollback_change_no_run_under_way(
    tryout, disturbed, tmp_path
):
    tryout.kubectl("delete", "treq", "upgraded", "--ignore-not-found", "--wait")
    tryout.apply("upgraded", profile="changing", **small(training=TRAINING))
    before = tryout.until("generate runs", lambda: running(tryout, "upgraded"), timeout=120)
    try:
        tryout.install("--set-json", "profiles.changing.defaults.training.learningRate=0.001")
        tryout.until("train runs", lambda: started(tryout, "upgraded"), timeout=300)
        tryout.helm("rollback", "tunesmith", "--namespace", NAMESPACE, "--wait", "--timeout", "5m")
        status = tryout.wait_for_end("upgraded", timeout=600)["status"]
        assert status["phase"] == "Succeeded", status
        assert [(row["key"], row["attempt"]) for row in status["stages"]] == [
            (row["key"], 1) for row in before["stages"]
        ]
        assert len(tryout.jobs("upgraded")) == len(tryout.pods("upgraded")) == 4
        assert adapter_digest(tryout, "upgraded", tmp_path) == disturbed, (
            "the deleted pod of the other, or the upgrade, changed the bytes"
        )
    except BaseException:
        tryout.install()
        raise


def running(tryout, name: str) -> dict | None:
    status = tryout.request(name).get("status", {})
    return status if status.get("phase") == "Running" else None
