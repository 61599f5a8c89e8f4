"""The tryout as a new user would try it: one chart, `kubectl apply` of the quickstart, and a tested model.

The longest test of all; the others of this folder reuse its release and run before or after it.
"""

import json
import time
from pathlib import Path

import pytest
from e2e.release import run_in_pod

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart.yaml"
MINUTES = 12
STAGES = ["generate", "train", "merge", "evaluate"]


@pytest.fixture(scope="module")
def done(tryout, asked_before):
    """The finished quickstart as JSON, and the seconds it took from `kubectl apply` on."""
    tryout.kubectl("delete", "treq", "quickstart", "--ignore-not-found", "--wait")
    began = time.monotonic()
    tryout.kubectl("apply", "-f", str(QUICKSTART))
    tryout.wait_for_end("quickstart", timeout=MINUTES * 60)
    seconds = time.monotonic() - began
    return json.loads(tryout.kubectl("get", "treq", "quickstart", "-o", "json").stdout), seconds


@pytest.fixture(scope="module")
def asked_before(tryout):
    """How many names outside the cluster were asked for before the quickstart."""
    return len(tryout.cluster.names_asked_for()) if tryout.cluster.own else 0


def conditions(request):
    return {condition["type"]: condition["status"] for condition in request["status"]["conditions"]}


@pytest.mark.timeout(MINUTES * 60 + 120)
def test_the_quickstart_completes_in_time(tryout, done):
    request, seconds = done
    print(f"quickstart: {seconds:.0f} s from kubectl apply to Complete")
    assert conditions(request)["Complete"] == "True", request["status"]
    assert seconds < MINUTES * 60
    assert (
        tryout.kubectl("wait", "--for=condition=Complete", "treq/quickstart", "--timeout=5s").returncode == 0
    )


def test_every_stage_was_one_job_with_one_pod(tryout, done):
    jobs = json.loads(
        tryout.kubectl("get", "jobs", "-l", "tunesmith.dev/request=quickstart", "-o", "json").stdout
    )["items"]
    assert sorted(job["metadata"]["labels"]["tunesmith.dev/stage"] for job in jobs) == sorted(STAGES)
    assert [job["status"].get("succeeded") for job in jobs] == [1] * len(STAGES)
    assert [row["attempt"] for row in done[0]["status"]["stages"]] == [1] * len(STAGES)


def test_train_asked_for_a_gpu_and_says_that_it_ran_on_the_cpu(tryout, done):
    [pod] = json.loads(
        tryout.kubectl(
            "get", "pods", "-l", "tunesmith.dev/request=quickstart,tunesmith.dev/stage=train", "-o", "json"
        ).stdout
    )["items"]
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    log = tryout.tunesmith("logs", "quickstart", "--stage", "train").stdout.splitlines()
    assert log[0] == "training on CPU"
    ours = ("training on ", "train: ", "test: ", "step ", "loss on the test split: ")
    assert [line for line in log if not line.startswith(ours)] == [], (
        "what a library printed, that nobody can act on"
    )


def test_the_model_became_better_and_the_figures_are_in_the_status(done):
    rows = {row["name"]: row for row in done[0]["status"]["stages"]}
    metrics = rows["evaluate"]["metrics"]
    assert metrics["exactMatchGain"] >= 0.5, metrics
    assert [row["phase"] for row in rows.values()] == ["Succeeded"] * len(STAGES)
    outputs = done[0]["status"]["outputs"]
    assert all(
        outputs[name].startswith("s3://tunesmith/runs/default/")
        for name in ("dataset", "adapter", "model", "report")
    ), outputs


@pytest.mark.timeout(300)
def test_fetch_brings_the_model_and_infer_answers(tryout, done, tmp_path):
    tryout.tunesmith("fetch", "quickstart", "--to", str(tmp_path / "got"))
    assert list((tmp_path / "got").rglob("model*.safetensors"))
    answer = tryout.tunesmith("infer", "quickstart", "The NovaPhone I ordered has not arrived yet.").stdout
    assert set(json.loads(answer.strip().splitlines()[-1])) == {"category", "priority", "product"}, answer


def test_the_report_says_what_the_figures_are(tryout, done, tmp_path):
    printed = tryout.tunesmith("report", "quickstart").stdout
    assert "exact" in printed.lower(), printed
    tryout.tunesmith("fetch", "quickstart", "--to", str(tmp_path), "--only", "report")
    assert "<html" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_nothing_phones_home(tryout, done, asked_before):
    if not tryout.cluster.own:
        pytest.skip("the name server of another cluster keeps no log of ours")
    control = ["import socket", "try: socket.getaddrinfo('phone.home.example', 443)", "except OSError: pass"]
    run_in_pod(tryout, "\n".join(control), {})
    asked = tryout.cluster.names_asked_for()[asked_before:]
    assert any(name.startswith("phone.home.example") for name in asked), "the log shows who asks"
    services = ("tunesmith-tryout-", "phone.home.example", "kubernetes.default")
    assert [name for name in asked if not name.startswith(services)] == []


def test_no_pod_of_the_command_line_is_left(tryout, done):
    pods = tryout.kubectl("get", "pods", "-A", "-l", "tunesmith.dev/session", "-o", "name").stdout.split()
    tryout.until(
        "session pods are gone",
        lambda: not tryout.kubectl("get", *pods, "--ignore-not-found").stdout if pods else True,
    )


def test_applying_it_again_changes_nothing(tryout, done):
    assert "unchanged" in tryout.kubectl("apply", "-f", str(QUICKSTART)).stdout
    assert tryout.kubectl("diff", "-f", str(QUICKSTART), check=False).returncode == 0
