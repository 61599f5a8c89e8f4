"""Requests drawn from the CRD's schema, created and edited while a controller runs.

Whatever they hold, each of them gets a phase, no exception comes of any, and the requests of others complete.
TUNESMITH_EXAMPLES=20 looks for longer, at other specs each time.
"""

import copy
import json
import os
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from apiserver.extremes import specs
from control_plane import ControlPlane
from controller.replicas import CONFIG, Replica, Replicas
from controller.shell import real
from hypothesis import HealthCheck, Phase, given, settings
from requests_for_tests import LEAST

from tunesmith.errors import BadRequest
from tunesmith.request import parse

EXAMPLES = int(os.environ.get("TUNESMITH_EXAMPLES", "0"))
EVERYTHING = ["*", "s3://*", "hf://*", "https://*", "http://*"]
ALLOW = {
    **dict.fromkeys(
        ("endpoints", "bases", "sources", "outputs", "env", "tolerations", "priorityClassNames", "secrets"),
        EVERYTHING,
    ),
    "trackers": ["tensorboard", "wandb", "mlflow", "trackio"],
}
LENIENT = {**CONFIG, "profiles": {"default": {**CONFIG["profiles"]["default"], "allow": ALLOW}}}
TEXTS = st.sampled_from(
    ["", "a", "ü🎏", "\t", "null", "{", "a" * 10_000, "\u202e", "-1", "2026-01-01T00:00:00Z"]
)
ENDS = {"Succeeded", "Failed"}
FIELDS = ("data", "training", "evaluation", "stages", "model", "gate")  # an edit takes some back

metadata = st.fixed_dictionaries(
    {},
    optional={
        "annotations": st.dictionaries(
            st.sampled_from(["note", "tunesmith.dev/retry", "tunesmith.dev/request", "tunesmith.dev/any"]),
            TEXTS,
            max_size=3,
        ),
        "labels": st.dictionaries(
            st.sampled_from(["team", "tunesmith.dev/request", "tunesmith.dev/stage"]),
            st.sampled_from(["", "a", "x" * 63]),
            max_size=2,
        ),
        "finalizers": st.just(["example.com/kept"]),
    },
)
requests = st.tuples(specs(), metadata, st.none() | specs())
names = st.sampled_from(["r", "n" * 37, "1"])
documents = st.lists(
    st.tuples(names, requests), min_size=50, max_size=50, unique_by=lambda drawn: json.dumps(drawn[1][0])
)


@settings(
    max_examples=EXAMPLES or 2,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    phases=[Phase.generate],  # to find the least would take hours
    suppress_health_check=list(HealthCheck),
)
@given(drawn=documents)
def fuzz(drawn, plane: ControlPlane, replica: Replica, seen: Counter[str]) -> None:
    theirs, ours = plane.namespace(), plane.namespace()
    for name in ("one", "two"):
        real.apply(plane, ours, name)
    applied = {}
    for number, (begin, (spec, about, edit)) in enumerate(drawn):
        name = f"{begin}{number:02}"
        if create(plane, theirs, name, spec, about):
            applied[name] = edit
    for name, edit in applied.items():
        if edit is not None:
            change(plane, theirs, name, edit)
    try:
        real.until("all get a phase", lambda: not unsettled(plane, theirs), 120)
    except AssertionError:
        raise AssertionError(f"without a phase: {unsettled(plane, theirs)}") from None
    real.until("the others complete", lambda: real.phases(plane, ours) == {"Succeeded"}, 60)
    for item in listed(plane, theirs):
        seen[f"{item['status']['phase']}/{item['status']['reason']}"] += 1
        check(item)
    assert replica.get("/healthz")[0] == 200
    assert replica.logged("error") == []
    for namespace in (theirs, ours):
        plane.kubectl("delete", "treq", "-n", namespace, "--all", "--wait=false")
        unfinal(plane, namespace)


def create(plane: ControlPlane, namespace: str, name: str, spec: Any, about: Any) -> bool:
    """Whether the API server takes it."""
    body = {**LEAST, "metadata": {**about, "name": name, "namespace": namespace}, "spec": spec}
    return plane.kubectl("create", "-f", "-", stdin=json.dumps(body), check=False).returncode == 0


def change(plane: ControlPlane, namespace: str, name: str, spec: dict[str, Any]) -> None:
    """Lay other settings over those of a request, whether it is taken or not."""
    patch = json.dumps({"spec": dict.fromkeys(FIELDS) | copy.deepcopy(spec)})
    command = ("patch", "treq", name, "-n", namespace, "--type=merge", "--patch-file=/dev/stdin")
    plane.kubectl(*command, stdin=patch, check=False)


def listed(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    return real.listed(plane, namespace, "treq")


def unsettled(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    return [item for item in listed(plane, namespace) if not settled(item)]


def settled(item: dict[str, Any]) -> bool:
    """Whether a request of this generation has ended, or waits and says for what."""
    status = item.get("status") or {}
    if status.get("observedGeneration") != item["metadata"]["generation"]:
        return False
    return status["phase"] in ENDS or (bool(status.get("reason")) and status["reason"] != "Starting")


def check(item: dict[str, Any]) -> None:
    """What cannot be read has failed as such, and nothing is a bug in the controller."""
    status = item["status"]
    assert status["reason"] not in ("InternalError", "Unreadable"), status
    if not readable(item):
        assert (status["phase"], status["reason"]) == ("Failed", "BadRequest"), status


def readable(item: dict[str, Any]) -> bool:
    try:
        parse({name: item[name] for name in ("apiVersion", "kind", "metadata", "spec")})
    except BadRequest:
        return False
    return True


def unfinal(plane: ControlPlane, namespace: str) -> None:
    for item in listed(plane, namespace):
        if item["metadata"].get("finalizers"):
            plane.kubectl(
                *("patch", "treq", item["metadata"]["name"], "-n", namespace),
                *("--type=merge", "-p", '{"metadata":{"finalizers":null}}'),
                check=False,
            )


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of what fails
def test_any_requests_created_and_edited_get_a_phase_and_harm_no_other(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    replica = replicas.start(config=LENIENT)
    real.until("ready", lambda: replica.get("/readyz")[0] == 200)
    seen: Counter[str] = Counter()
    fuzz(plane=control_plane, replica=replica, seen=seen)
    print(dict(seen))
    assert replica.metric("tunesmith_internal_errors_total") == 0
    assert replica.metric("tunesmith_thread_errors_total") == 0
    assert seen.total() > 30, seen
