"""One request harms no other: the whole controller, with requests that cannot be handled beside good ones."""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import ControlPlane
from controller.replicas import CONFIG, Replica, Replicas
from controller.shell import real
from kwok import FakeNodes

from tunesmith.crd import custom_resource_definition

_BOUNDS = ("maximum", "maxLength", "maxItems", "maxProperties", "pattern", "x-kubernetes-validations")
_DEEP = "DEEP"


def nested(depth: int) -> str:
    return '{"type": "array", "items": ' * depth + '{"type": "string"}' + "}" * depth


def schema(depth: int) -> tuple[dict[str, Any], str]:
    return {"evaluation": {"format": {"jsonSchema": _DEEP}}}, nested(depth)


# name -> spec, what stands for DEEP in it, the reasons that the request may fail for. Without a bound of its
# own a field is refused by whatever fails on it.
BAD: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "deep-schema": (*schema(1500), {"Unreadable"}),
    "deepest-schema": (*schema(9000), {"Unreadable"}),
    "less-deep-schema": (*schema(600), {"BadRequest"}),
    "deep-overrides": (
        {"training": {"variants": [{"name": "a", "overrides": {"epochs": _DEEP}}]}},
        nested(1500),
        {"Unreadable"},
    ),
    "wide-regex": (
        {"evaluation": {"format": {"regex": "a{4294967295}"}}},
        "",
        {"BadRequest"},
    ),
    "deep-regex": (
        {"evaluation": {"format": {"regex": "(" * 2000 + ")" * 2000}}},
        "",
        {"BadRequest"},
    ),
}
# Seconds that a request is kept after its end: it may be taken as for ever, or refused.
FAR = {"far-ttl": 10**10, "beyond-ttl": 3 * 10**11}


def unbounded(schema: Any) -> Any:
    """A schema that takes what an older or a newer one would not."""
    if isinstance(schema, dict):
        return {name: unbounded(value) for name, value in schema.items() if name not in _BOUNDS}
    return [unbounded(value) for value in schema] if isinstance(schema, list) else schema


@pytest.fixture
def replicas(control_plane: ControlPlane, fake_nodes: FakeNodes, tmp_path: Path) -> Iterator[Replicas]:
    definition = custom_resource_definition()
    for version in definition["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        version["schema"]["openAPIV3Schema"]["properties"]["spec"] = unbounded(spec)
    real.install(control_plane)
    control_plane.kubectl("delete", "treq", "-A", "--all")  # other tests' requests would be worked on, too
    replace = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    control_plane.kubectl(*replace, stdin=json.dumps(definition))
    started = Replicas(control_plane, tmp_path)
    yield started
    started.stop()
    control_plane.kubectl("delete", "treq", "-A", "--all")
    real.install(control_plane)


def create(plane: ControlPlane, namespace: str, name: str, deep: str = "", **spec: Any) -> None:
    body = {
        "apiVersion": "tunesmith.dev/v1alpha1",
        "kind": "TrainingRequest",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"task": "Answer riddles.", "model": {"base": "hf://org/base"}, **spec},
    }
    text = json.dumps(body).replace(f'"{_DEEP}"', deep)
    real.until(
        f"{name} is taken",  # a definition takes a moment until it is served in its new form
        lambda: plane.kubectl("create", "-f", "-", stdin=text, check=False).returncode == 0,
    )


def told(plane: ControlPlane, namespace: str) -> dict[str, tuple[str, str, str]]:
    """Phase, reason and message by name; kubectl prints no more, as Python could not read it."""
    row = "{.metadata.name}{'\\t'}{.status.phase}{'\\t'}{.status.reason}{'\\t'}{.status.message}{'\\n'}"
    path = f"jsonpath={{range .items[*]}}{row}{{end}}"
    rows = plane.kubectl("get", "treq", "-n", namespace, "-o", path).stdout.splitlines()
    return {name: (phase, reason, message) for name, phase, reason, message in (r.split("\t") for r in rows)}


class Probes(threading.Thread):
    """Asks /healthz of a replica again and again."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(daemon=True)
        self.replica, self.answers, self.over = replica, list[tuple[int, str]](), threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.answers.append(self.replica.get("/healthz"))

    def end(self) -> None:
        self.over.set()
        self.join()
        assert self.answers
        assert [answer for answer in self.answers if answer[0] != 200] == []


def all_as_they_should(plane: ControlPlane, bad: str, good: str, goods: set[str]) -> bool:
    phases = {name: phase for name, (phase, _, _) in told(plane, good).items()}
    theirs = {name: phase for name, (phase, _, _) in told(plane, bad).items()}
    ended = all(theirs[name] == "Failed" for name in BAD) and all(
        theirs[name] in ("Failed", "Succeeded") for name in FAR
    )
    return ended and phases == dict.fromkeys(goods, "Succeeded")


def test_requests_that_cannot_be_handled_fail_by_name_and_the_others_complete_also_after_a_restart(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    bad, good = control_plane.namespace(), control_plane.namespace()
    first = replicas.start()
    real.until("ready", lambda: first.get("/readyz")[0] == 200)
    probes = Probes(first)
    for name, (spec, deep, _) in BAD.items():
        create(control_plane, bad, name, deep, **spec)
    for name, seconds in FAR.items():
        create(control_plane, bad, name, ttlSecondsAfterFinished=seconds)
    for name in ("one", "two"):
        create(control_plane, good, name)
    real.until("all end", lambda: all_as_they_should(control_plane, bad, good, {"one", "two"}), 120)
    probes.end()
    seen = told(control_plane, bad)
    for name, (_, _, reasons) in BAD.items():
        assert seen[name][1] in reasons, seen[name]
    assert seen["deep-schema"][2].startswith(
        "spec.evaluation.format.jsonSchema: is nested too deep to be read; "
    )
    assert seen["deep-overrides"][2].startswith("spec.training.variants[0]")
    check_log(first, seen)
    assert first.metric("tunesmith_thread_errors_total") == 0
    assert first.metric("tunesmith_relists_total") == 3, "each kind once"
    assert first.stop() == 0

    second = replicas.start()
    real.until("the leader", lambda: second.metric("tunesmith_leader") == 1)
    probes = Probes(second)
    create(control_plane, good, "three")
    goods = {"one", "two", "three"}
    real.until("the third ends", lambda: all_as_they_should(control_plane, bad, good, goods), 120)
    probes.end()
    assert second.get("/readyz")[0] == 200
    after = told(control_plane, bad)
    assert {name: row[:2] for name, row in after.items()} == {name: row[:2] for name, row in seen.items()}
    check_log(second, after)

    # The edit of a bad request costs no list, and a mended one runs.
    control_plane.kubectl(
        *("patch", "treq", "deep-schema", "-n", bad, "--type=merge"),
        *("-p", '{"spec":{"evaluation":{"format":null}}}'),
    )
    real.until("the mended one ends", lambda: told(control_plane, bad)["deep-schema"][0] == "Succeeded", 120)
    assert second.metric("tunesmith_relists_total") == 3


def check_log(replica: Replica, seen: dict[str, tuple[str, str, str]]) -> None:
    """A bug stands in the log for those requests only whose status tells its id."""
    ids = {
        name: re.findall(r"\b[0-9a-f]{8}\b", message)[0]
        for name, (_, reason, message) in seen.items()
        if reason == "InternalError"
    }
    lines = [line for line in replica.logged("error") if "a bug in the controller" in line["message"]]
    assert {line["request"] for line in lines} == ids.keys()
    assert len(replica.logged("error")) == len(lines)
    for name, bug in ids.items():
        assert any(line["request"] == name and bug in line["message"] for line in lines)


def test_two_bad_requests_of_a_profile_with_two_places_stop_no_third(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    bad, good = control_plane.namespace(), control_plane.namespace()
    for name in ("deep-schema", "wide-regex"):
        spec, deep, _ = BAD[name]
        create(control_plane, bad, name, deep, profile="narrow", **spec)
    create(control_plane, good, "third", profile="narrow")
    replica = replicas.start()
    real.until("it ends", lambda: told(control_plane, good)["third"][0] == "Succeeded", 120)
    real.until("they end", lambda: {row[0] for row in told(control_plane, bad).values()} == {"Failed"})
    assert replica.get("/healthz")[0] == 200


# A controller with a bug: `reconcile` raises for requests of one name, until they are edited.
BUGGY = """
import sys
from tunesmith_controller import logs, main
from tunesmith_controller.config import read_config
from tunesmith_controller.decide.reconcile import reconcile
from tunesmith_controller.options import parse_options

def decide(world, now, config):
    request = world.request
    if request["metadata"]["name"].startswith("unlucky") and request["metadata"]["generation"] == 1:
        has_run = any(row["phase"] == "Succeeded" for row in request.get("status", {}).get("stages", ()))
        if has_run or request["metadata"]["name"].endswith("first"):
            raise ZeroDivisionError("a bug for this test")
    return reconcile(world, now, config)

options = parse_options(sys.argv[1:])
logs.set_up(options.log_format, options.log_level)
process = main.Process(options, read_config(options.config), decide)
main.signal.signal(main.signal.SIGTERM, lambda *_: process.stop.set())
code = process.run()
main.os._exit(code)
"""


def test_a_request_on_which_the_controller_fails_gives_its_place_back_and_an_edit_tries_again(
    replicas: Replicas, control_plane: ControlPlane, tmp_path: Path
) -> None:
    program = tmp_path / "buggy.py"
    program.write_text(BUGGY)
    bad, good = control_plane.namespace(), control_plane.namespace()
    replica = replicas.start(program=[str(program)])
    real.until("ready", lambda: replica.get("/readyz")[0] == 200)
    for name in ("unlucky-at-first", "unlucky-later"):
        create(control_plane, bad, name, profile="narrow")
        time.sleep(1.1)  # the oldest comes first, and the API server's times have whole seconds
    create(control_plane, good, "third", profile="narrow")
    assert CONFIG["profiles"]["narrow"]["limits"] == {"requests": 2}
    real.until("the third ends", lambda: told(control_plane, good)["third"][0] == "Succeeded", 120)
    real.until(
        "both are given up",
        lambda: {row[:2] for row in told(control_plane, bad).values()} == {("Failed", "InternalError")},
    )
    assert replica.metric("tunesmith_internal_errors_total") == 2
    check_log(replica, told(control_plane, bad))
    later = real.get(control_plane, bad, "treq", "unlucky-later")["status"]
    assert [row["stage"] for row in later["finished"]], "what is paid for is not lost"
    assert later["run"]
    assert later["snapshot"]
    conditions = {entry["type"]: entry["status"] for entry in later["conditions"]}
    assert (conditions["Stalled"], conditions["Failed"], conditions["Reconciling"]) == (
        "True",
        "True",
        "False",
    )
    looks = replica.metric("tunesmith_reconcile_total")
    time.sleep(3)
    assert replica.metric("tunesmith_reconcile_total") - looks <= 4, "it is not looked at again"
    for name in ("unlucky-at-first", "unlucky-later"):
        control_plane.kubectl(
            "patch", "treq", name, "-n", bad, "--type=merge", "-p", '{"spec":{"retry":"1"}}'
        )
    real.until(
        "an edit tries again",
        lambda: {row[0] for row in told(control_plane, bad).values()} == {"Succeeded"},
        120,
    )
    assert replica.get("/healthz")[0] == 200
