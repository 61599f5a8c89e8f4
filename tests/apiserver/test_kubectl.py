"""What people see with kubectl: explain, get, wait, with each state of tests/contract/statuses."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from cluster.programs import program
from requests_for_tests import document

FOLDER = Path(__file__).parents[1] / "contract/statuses"
STATES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
NAME = "support-riddles"  # of a usual length


@pytest.fixture(scope="module")
def states(server):
    """A namespace for each state, in which one request has it."""
    namespaces = {}
    for name, state in STATES.items():
        if "deletionTimestamp" in state["metadata"]:
            continue
        namespace = server.plane.namespace()
        spec = {"model.base": "hf://HuggingFaceTB/SmolLM2-1.7B-Instruct", "profile": "default"} | state[
            "spec"
        ]
        server.create(document(spec, name=NAME, namespace=namespace))
        if name != "not-seen":
            patch = json.dumps({"status": state["status"]})
            server.plane.kubectl(
                "patch", "treq", NAME, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch
            )
        namespaces[name] = namespace
    return namespaces


def rows(text):
    """Header and rows of kubectl's table, by its columns."""
    lines = text.rstrip("\n").split("\n")
    starts = [match.start() for match in re.finditer(r"\S+", lines[0])]
    return [
        [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines
    ]


TABLE = {  # state -> PHASE, STAGE, PROGRESS, REASON
    "not-seen": ["", "", "", ""],
    "pending": ["Pending", "generate", "", "ImagePullFailed"],
    "queued": ["Queued", "generate", "", "WaitingForTurn"],
    "running-generate": ["Running", "generate", "42%", "Running"],
    "running-train": ["Running", "train", "63%", "Running"],
    "suspended-later": ["Suspended", "train", "63%", "Suspended"],
    "succeeded": ["Succeeded", "", "100%", "Complete"],
    "failed": ["Failed", "train", "", "OOMKilled"],
    "gate-not-passed": ["Failed", "", "", "GateNotPassed"],
    "refused": ["Failed", "", "", "NotAllowed"],
}


@pytest.mark.parametrize("name", TABLE)
def test_get_shows_the_state_in_at_most_80_columns(name, states, server):
    text = server.plane.kubectl("get", "treq", "-n", states[name]).stdout
    header, row = rows(text)
    assert header == ["NAME", "PHASE", "STAGE", "PROGRESS", "REASON", "AGE"]
    assert row[:5] == [NAME, *TABLE[name]]
    assert max(map(len, text.splitlines())) <= 80, text


def test_wide_adds_what_does_not_fit(states, server):
    header, row = rows(server.plane.kubectl("get", "treq", "-n", states["succeeded"], "-o", "wide").stdout)
    assert header[6:] == ["LOSS", "PLACE", "PROFILE", "BASE", "MODEL", "MESSAGE"]
    assert row[6:] == [
        "0.4121",
        "",
        "default",
        "hf://HuggingFaceTB/SmolLM2-1.7B-Instruct",
        "s3://bucket/runs/team/riddles-00000000/merge/44599cb275e08f43/",
        "all stages are done",
    ]
    queued = rows(server.plane.kubectl("get", "treq", "-n", states["queued"], "-o", "wide").stdout)[1]
    assert queued[7] == "3"


@pytest.mark.parametrize("word", ["trainingrequests", "trainingrequest", "treq", "tunesmith"])
def test_the_kind_is_found_by_each_of_its_names_and_by_its_category(word, states, server):
    assert NAME in server.plane.kubectl("get", word, "-n", states["queued"]).stdout
    assert server.plane.kubectl("get", "all", "-n", states["queued"]).stdout == ""


WAITS = {  # state, condition -> whether kubectl wait is content
    ("succeeded", "Complete"): True,
    ("succeeded", "Failed"): False,
    ("failed", "Failed"): True,
    ("failed", "Complete"): False,
    ("failed", "Stalled"): True,
    ("running-train", "Complete"): False,
    ("running-train", "Generated"): True,
    ("not-seen", "Complete"): False,
}


@pytest.mark.parametrize(("name", "condition"), WAITS)
def test_wait(name, condition, states, server):
    done = server.plane.kubectl(
        "wait", f"--for=condition={condition}", "treq", NAME, "-n", states[name], "--timeout=1s", check=False
    )
    assert (done.returncode == 0) is WAITS[name, condition], done.stderr


ENDS = {
    "succeeded": "Succeeded: all stages are done",
    "failed": "Failed: train: the container was killed",
    "refused": "Failed: spec.stages.train.env",
}


@pytest.mark.parametrize(("name", "says"), ENDS.items(), ids=ENDS)
def test_the_lines_of_the_page_on_gitops_end_on_success_and_on_failure(name, says, states, server, tmp_path):
    page = Path(__file__).parents[2].joinpath("docs/how-to/gitops.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    wrapper = tmp_path / "kubectl"
    wrapper.write_text(
        f"#!/bin/sh\nexec {program('kubectl')} --kubeconfig={server.plane.kubeconfig} -n {states[name]} "
        '"$@"\n'
    )
    wrapper.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = lines.replace("treq/riddles", f"treq/{NAME}")
    done = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith(says), done


@pytest.mark.parametrize("name", [name for name in STATES if name not in ("not-seen", "deleted")])
def test_a_status_is_stored_whole(name, states, server):
    stored = json.loads(server.plane.kubectl("get", "treq", NAME, "-n", states[name], "-o", "json").stdout)[
        "status"
    ]
    assert stored == STATES[name]["status"]


def test_a_new_request_is_not_seen_yet_though_somebody_brings_a_status(server):
    forged = document(name="forged") | {"status": {"observedGeneration": 1, "phase": "Succeeded"}}
    assert server.create(forged)["status"] == {"observedGeneration": -1}


def test_an_edit_of_the_status_moves_no_generation_and_an_edit_of_the_spec_does(states, server):
    def generation():
        return json.loads(
            server.plane.kubectl("get", "treq", NAME, "-n", states["waiting"], "-o", "json").stdout
        )["metadata"]["generation"]

    assert generation() == 1
    server.plane.kubectl(
        "patch", "treq", NAME, "-n", states["waiting"], "--type=merge", "-p", '{"spec":{"retry":"1"}}'
    )
    assert generation() == 2


def test_the_same_file_applied_twice_changes_nothing(server):
    text = json.dumps(document({"training.learningRate": 2e-4, "data.seeds": ["why?"]}, name="twice"))
    for outcome in ("created", "unchanged"):
        assert outcome in server.plane.kubectl("apply", "-n", server.namespace, "-f", "-", stdin=text).stdout
    assert server.plane.kubectl("diff", "-n", server.namespace, "-f", "-", stdin=text).stdout == ""


EXPLAINED = {  # path -> a line of kubectl explain
    "treq": "A task in plain words that becomes a fine-tuned, merged and tested model.",
    "treq.spec.training": "Rank of the adapter. Built-in: 16.",
    "treq.spec.training.optim": "    paged_adamw_32bit\n",
    "treq.spec.data.teacher.baseURL": "including `/v1`",
    "treq.spec.stages.train.activeDeadlineSeconds": "Seconds that the stage may run. 0: no limit.",
    "treq.status.stages": "Attempts that the key has had.",
    "treq.status.conditions.lastTransitionTime": "When `status` last changed; RFC 3339.",
}


@pytest.mark.parametrize(("path", "line"), EXPLAINED.items(), ids=EXPLAINED)
def test_explain(path, line, server):
    assert line in server.plane.kubectl("explain", path).stdout


def test_explain_knows_every_field(server):
    text = server.plane.kubectl("explain", "treq", "--recursive").stdout
    for field in (
        "loraTargetModules",
        "maxUSD",
        "activeDeadlineSeconds",
        "tolerationSeconds",
        "queuePlace",
        "failedGeneration",
    ):
        assert field in text
