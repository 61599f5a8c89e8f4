"""What GitOps tools make of every state: kstatus (Flux, cli-utils) by its rules, Argo CD by health.lua."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import states
import yaml

from tunesmith.request import parse
from tunesmith.stages import STAGES
from tunesmith.status import Status

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "statuses"
STATES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
TYPES = [
    "Accepted",
    *(kind.condition for kind in STAGES.values()),
    "Complete",
    "Failed",
    "Reconciling",
    "Stalled",
]
SEEN = {name: state for name, state in STATES.items() if state["status"].get("conditions")}


def kstatus(thing):
    """The status of a kind unknown to kubernetes-sigs/cli-utils, pkg/kstatus/status (5895ad6).

    Four of its six rules can apply.
    """
    meta, status = thing["metadata"], thing.get("status", {})
    if "deletionTimestamp" in meta:
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != meta["generation"]:
        return "InProgress"
    for condition in status.get("conditions", []):  # the first of the two that is True decides
        if condition["status"] == "True" and condition["type"] in ("Reconciling", "Stalled"):
            return {"Reconciling": "InProgress", "Stalled": "Failed"}[condition["type"]]
    for condition in status.get("conditions", []):
        if condition["type"] == "Ready":
            return "Current" if condition["status"] == "True" else "InProgress"
    return "Current"


@pytest.mark.parametrize("name", states.STATES)
def test_a_state_is_what_reconcile_says(name):
    assert STATES[name] == states.state(name), "write it again: `python tests/states.py`, then `make docs`"


def test_every_file_is_a_state():
    assert sorted(STATES) == sorted(states.STATES), (
        "write them again: `python tests/states.py`, then `make docs`"
    )


def test_every_phase_and_every_health_has_a_state():
    phases = {state["status"].get("phase") for state in SEEN.values()}
    assert phases == {"Pending", "Queued", "Running", "Suspended", "Succeeded", "Failed"}
    assert {state["argo"] for state in STATES.values()} == {"Progressing", "Healthy", "Degraded", "Suspended"}
    assert {state["kstatus"] for state in STATES.values()} == {
        "InProgress",
        "Current",
        "Failed",
        "Terminating",
    }


@pytest.mark.parametrize("name", STATES)
def test_kstatus(name):
    assert kstatus(STATES[name]) == STATES[name]["kstatus"], STATES[name]["about"]


@pytest.mark.parametrize("name", STATES)
def test_a_status_of_the_table_is_a_status(name):
    assert (
        Status.model_validate_json(json.dumps(STATES[name]["status"])).observed_generation
        == STATES[name]["status"]["observedGeneration"]
    )


@pytest.mark.parametrize("name", SEEN)
def test_all_conditions_are_there_in_order_and_reconciling_and_stalled_never_both(name):
    conditions = SEEN[name]["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == TYPES
    by_type = {condition["type"]: condition["status"] for condition in conditions}
    assert (by_type["Reconciling"], by_type["Stalled"]) != ("True", "True")
    assert (by_type["Complete"], by_type["Failed"]) in (
        ("True", "False"),
        ("False", "True"),
        ("Unknown", "Unknown"),
    )
    assert (by_type["Stalled"] == "True") == (SEEN[name]["status"]["phase"] == "Failed")


def test_the_rules_see_the_difference_that_they_are_for():
    failed = STATES["failed"]
    without = {**failed, "status": {**failed["status"], "conditions": failed["status"]["conditions"][:-2]}}
    assert kstatus(without) == "Current", "without Stalled a failed request would count as current"


def _lua():
    lua = next(filter(None, map(shutil.which, ("lua5.4", "lua5.3", "lua5.1", "lua", "luajit"))), None)
    if lua is None:
        text = "no Lua here to run docs/argocd/health.lua: install the package lua5.4"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    return lua


def _as_lua(value):
    match value:
        case dict():
            return (
                "{"
                + ", ".join(f"[{_as_lua(key)}] = {_as_lua(member)}" for key, member in value.items())
                + "}"
            )
        case list():
            return "{" + ", ".join(map(_as_lua, value)) + "}"
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'
        case _:
            return repr(value)


def argo(thing):
    """Health and message by docs/argocd/health.lua. Argo CD does not ask it about what is being deleted."""
    if "deletionTimestamp" in thing["metadata"]:
        return "Progressing", "Pending deletion"
    script = ROOT / "docs/argocd/health.lua"
    lines = (
        f"obj = {_as_lua(thing)}",
        f"local health = dofile('{script}')",
        "io.write(health.status, '\\n', health.message)",
    )
    chunk = "\n".join(lines)
    done = subprocess.run([_lua(), "-"], input=chunk.encode(), capture_output=True, check=True)
    status, _, message = done.stdout.decode().partition("\n")
    return status, message


@pytest.mark.parametrize("name", STATES)
def test_argo_cd(name):
    health, message = argo(STATES[name])
    assert health == STATES[name]["argo"], STATES[name]["about"]
    assert message
    if health == "Degraded":
        assert message == STATES[name]["status"]["message"]


def test_argo_cd_waits_for_an_object_without_a_status():
    assert argo({"metadata": {"generation": 1}}) == ("Progressing", "waiting for the controller")


def test_the_test_data_for_argo_cd_are_these_states_and_say_what_its_check_says():
    listed = yaml.safe_load((ROOT / "docs/argocd/health_test.yaml").read_text(encoding="utf-8"))["tests"]
    names = [Path(test["inputPath"]).stem for test in listed]
    assert sorted(names) == sorted(set(STATES) - {"deleted"}), "Argo CD does not ask about the deleted one"
    assert sorted(path.stem for path in (ROOT / "docs/argocd/testdata").iterdir()) == sorted(names)
    for test in listed:
        thing = yaml.safe_load((ROOT / "docs/argocd" / test["inputPath"]).read_text(encoding="utf-8"))
        state = STATES[Path(test["inputPath"]).stem]
        assert thing["status"] == state["status"]
        assert argo(thing) == (test["healthStatus"]["status"], test["healthStatus"]["message"])
        assert parse(thing).metadata.name == "riddles"


def test_the_page_on_gitops_has_this_very_check():
    page = (ROOT / "docs/how-to/gitops.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    values = yaml.safe_load(block)["configs"]["cm"]
    assert values == {
        "resource.customizations.health.tunesmith.dev_TrainingRequest": (
            ROOT / "docs/argocd/health.lua"
        ).read_text(encoding="utf-8")
    }


ROWS = {  # how a row of the page's table begins -> states of it
    "not seen": ["not-seen", "edited", "retried"],
    "pending or queued before": ["pending", "waiting", "queued"],
    "pending or queued later": ["gpu-limit", "gpu-wait", "queued-again"],
    "running": ["running-generate", "running-train", "running-again"],
    "suspended": ["suspended", "suspended-later"],
    "succeeded": ["succeeded"],
    "failed": ["failed", "gate-not-passed", "refused"],
}


def test_the_table_of_the_page_is_true_of_every_state():
    page = (ROOT / "docs/how-to/gitops.md").read_text(encoding="utf-8")
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| ")
    ][2:]
    assert sorted([name for names in ROWS.values() for name in names] + ["deleted"]) == sorted(STATES)
    for (begins, names), (what, flux, argocd) in zip(ROWS.items(), table, strict=True):
        assert what.startswith(begins)
        assert {(STATES[name]["kstatus"], STATES[name]["argo"]) for name in names} == {(flux, argocd)}, what
