"""The whole controller, as processes on a real control plane. Jobs get pods, and the pods stay Pending."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import ControlPlane
from controller.replicas import Replica, Replicas
from controller.shell import real

from tunesmith_controller.rights import RIGHTS


@pytest.fixture
def replicas(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Replicas]:
    real.install(control_plane)
    control_plane.kubectl("delete", "treq", "-A", "--all")  # other tests' requests would be worked on, too
    started = Replicas(control_plane, tmp_path)
    yield started
    started.stop()
    control_plane.kubectl("delete", "treq", "-A", "--all", "--wait=false")


def parked(plane: ControlPlane, namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """A request whose first pod is never scheduled, also where another test has a fake node."""
    return real.apply(
        plane, namespace, name, stages={"generate": {"nodeSelector": {"example.com/no-such": "node"}}}, **spec
    )


def jobs_of(plane: ControlPlane, request: dict[str, Any]) -> list[str]:
    uid = request["metadata"]["uid"]
    jobs = real.listed(plane, request["metadata"]["namespace"], "jobs")
    return [job["metadata"]["name"] for job in jobs if job["metadata"]["ownerReferences"][0]["uid"] == uid]


def test_a_request_becomes_a_job_and_its_status_says_so(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    replica = replicas.start()
    real.until("ready", lambda: replica.get("/readyz")[0] == 200)
    request = parked(control_plane, control_plane.namespace(), "riddles")
    (name,) = real.until("its Job", lambda: jobs_of(control_plane, request))
    assert name.startswith("riddles-generate-")
    namespace = request["metadata"]["namespace"]
    pod = real.until("its pod", lambda: real.listed(control_plane, namespace, "pods"))[0]
    assert pod["metadata"]["labels"]["tunesmith.dev/request"] == "riddles"
    status = real.get(control_plane, namespace, "treq", "riddles")["status"]
    row = next(row for row in status["stages"] if row["name"] == "generate")
    assert (row["job"], row["attempt"], status["observedGeneration"]) == (name, 1, 1)
    assert real.get(control_plane, namespace, "configmap", status["snapshot"])["immutable"] is True
    time.sleep(3)
    before = replica.calls()
    time.sleep(5)
    calls = replica.calls() - before
    assert calls["all"] <= 1, f"{calls} in 5 s by a controller with nothing to do but to renew its lease"
    assert calls["leases"] <= 8, "2 each 2 s"
    assert replica.logged("error") == []
    assert replica.metric("tunesmith_leader") == 1
    assert replica.metric("tunesmith_crd_missing_fields") == 0
    assert replica.stop() == 0
    assert (
        control_plane.kubectl("get", "lease", replicas.lease, "-o", "jsonpath={.spec.holderIdentity}").stdout
        == ""
    )


def test_killed_at_random_with_two_replicas_each_request_has_one_job(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    rng, namespace = random.Random(4), control_plane.namespace()
    pair = [replicas.start(), replicas.start()]
    requests = []
    for number in range(5):
        requests += [parked(control_plane, namespace, f"r{number}-{part}") for part in "abc"]
        time.sleep(rng.uniform(0, 2.0))
        victim = next((replica for replica in pair if replica.metric("tunesmith_leader") == 1), pair[0])
        victim.stop(signal.SIGKILL)
        pair[pair.index(victim)] = replicas.start()
    for request in requests:
        real.until(
            f"a Job of {request['metadata']['name']}",
            lambda request=request: jobs_of(control_plane, request),
            120,
        )
    time.sleep(2)
    assert {request["metadata"]["name"]: len(jobs_of(control_plane, request)) for request in requests} == {
        request["metadata"]["name"]: 1 for request in requests
    }
    assert [line for replica in replicas.all for line in replica.logged("error")] == []


def test_a_restart_of_the_api_server_is_survived(replicas: Replicas, control_plane: ControlPlane) -> None:
    replica, namespace = replicas.start(), control_plane.namespace()
    first = parked(control_plane, namespace, "before")
    real.until("a Job", lambda: jobs_of(control_plane, first))
    control_plane.restart_apiserver()
    second = parked(control_plane, namespace, "after")
    real.until("a Job", lambda: jobs_of(control_plane, second))
    assert replica.get("/healthz")[0] == 200
    assert (len(jobs_of(control_plane, first)), len(jobs_of(control_plane, second))) == (1, 1)


def test_an_api_server_that_is_restored_from_an_older_snapshot_is_followed(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    # It leads without a lease: the outage may take longer than one holds.
    replica, namespace = replicas.start("--no-leader-election"), control_plane.namespace()
    kept = parked(control_plane, namespace, "kept")
    real.until("a Job", lambda: jobs_of(control_plane, kept))
    snapshot = control_plane.snapshot()
    lost = parked(control_plane, namespace, "lost")
    real.until("a Job", lambda: jobs_of(control_plane, lost))
    for number in range(50):  # the versions go back by so many
        control_plane.kubectl("annotate", "treq", "kept", "-n", namespace, f"n={number}", "--overwrite")
    control_plane.kubectl("delete", "treq", "kept", "-n", namespace)
    real.until("it is known as gone", lambda: cached(replica) == 1)

    control_plane.restore(snapshot)
    real.until("what the server has again is known", lambda: "kept" in names(control_plane, namespace))
    # It comes under the version that it had, and the one that is lost is not there any more.
    suspend = ("patch", "treq", "kept", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    control_plane.kubectl(*suspend)
    real.until("it is suspended", lambda: jobs_of(control_plane, kept) == [])
    young = parked(control_plane, namespace, "young")
    real.until("a Job", lambda: jobs_of(control_plane, young))
    assert names(control_plane, namespace) == {"kept", "young"}
    assert cached(replica) == 2
    assert replica.get("/healthz")[0] == 200
    assert replica.logged("error") == []


def cached(replica: Replica) -> int:
    """How many requests the cache has."""
    lines = replica.get("/metrics")[1].splitlines()
    (line,) = [line for line in lines if line.startswith('tunesmith_cache_objects{kind="trainingrequests"}')]
    return int(float(line.split()[-1]))


def names(plane: ControlPlane, namespace: str) -> set[str]:
    return {item["metadata"]["name"] for item in real.listed(plane, namespace, "treq")}


def test_without_an_api_server_the_leader_ends_before_its_lease_and_a_standby_stays_alive(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    leader = replicas.start()
    real.until("the leader", lambda: leader.metric("tunesmith_leader") == 1)
    standby = replicas.start()
    real.until("the standby", lambda: standby.get("/readyz")[0] == 200)
    control_plane.stop_apiserver()
    begun = time.monotonic()
    try:
        assert leader.process.wait(15) == 1
        assert time.monotonic() - begun < 13, (
            "the lease holds 15 s from the last renewal, which was up to 2 s before"
        )
        assert standby.get("/healthz") == (200, "ok\n")
        assert standby.metric("tunesmith_leader") == 0
    finally:
        control_plane.restart_apiserver()
    real.until("the standby leads", lambda: standby.metric("tunesmith_leader") == 1)


def test_requests_beyond_the_limit_wait_in_line_and_the_next_starts_when_one_goes(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    replica, namespace = replicas.start(), control_plane.namespace()
    real.until("ready", lambda: replica.get("/readyz")[0] == 200)
    requests = []
    for number in range(5):
        requests.append(parked(control_plane, namespace, f"n{number}", profile="narrow"))
        time.sleep(1.1)  # the API server's times have whole seconds, and the oldest comes first

    def states() -> list[tuple[int, int]]:
        items = {item["metadata"]["name"]: item for item in real.listed(control_plane, namespace, "treq")}
        return [
            (len(jobs_of(control_plane, items[name])), items[name]["status"].get("queuePlace", 0))
            for name in sorted(items)
        ]

    real.until("two running, three in line", lambda: states() == [(1, 0), (1, 0), (0, 1), (0, 2), (0, 3)])
    control_plane.kubectl("delete", "treq", requests[0]["metadata"]["name"], "-n", namespace)
    real.until(
        "the next starts, and the others move up", lambda: states() == [(1, 0), (1, 0), (0, 1), (0, 2)], 30
    )
    control_plane.kubectl(
        "patch", "treq", "n3", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}'
    )
    real.until("who is suspended leaves the line", lambda: states() == [(1, 0), (1, 0), (0, 0), (0, 1)], 30)


def test_an_older_definition_is_named_at_start_and_requests_run_all_the_same(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    from tunesmith.crd import custom_resource_definition

    older = custom_resource_definition()
    root = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    del root["spec"]["properties"]["queueName"]
    root["spec"]["x-kubernetes-validations"] = []
    del root["status"]["properties"]["percent"]
    del root["status"]["properties"]["stages"]["items"]["properties"]["eta"]
    del root["status"]["properties"]["stages"]["items"]["properties"]["failures"]
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(older))
    try:
        replica = replicas.start()
        real.until("ready", lambda: replica.get("/readyz")[0] == 200)
        (expected,) = [line["message"] for line in replica.logged("warning") if "silently" in line["message"]]
        lacks = "spec.queueName, status.percent, status.stages[].eta, status.stages[].failures"
        assert f"silently drops 4 fields: {lacks};" in expected
        assert replica.metric("tunesmith_crd_missing_fields") == 4
        namespace = control_plane.namespace()
        request = parked(control_plane, namespace, "as-ever")
        real.until("its Job", lambda: jobs_of(control_plane, request))
        status = real.get(control_plane, namespace, "treq", "as-ever")["status"]
        assert (len(status["stages"]), "failures" in status["stages"][0]) == (4, False)
        assert "the API server refused" not in replica.log.read_text()
    finally:
        real.install(control_plane)


def test_only_the_listed_namespaces_are_worked_on(replicas: Replicas, control_plane: ControlPlane) -> None:
    ours, theirs = control_plane.namespace(), control_plane.namespace()
    replicas.start(f"--namespaces={ours}")
    left = parked(control_plane, theirs, "left")
    done = parked(control_plane, ours, "done")
    real.until("its Job", lambda: jobs_of(control_plane, done))
    time.sleep(2)
    assert jobs_of(control_plane, left) == []
    assert real.get(control_plane, theirs, "treq", "left")["status"] == {"observedGeneration": -1}


def test_the_rights_that_it_names_are_all_that_it_needs(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    home, namespace = control_plane.namespace(), control_plane.namespace()
    account = {"kind": "ServiceAccount", "name": "default", "namespace": home}

    def rules(*scopes: str) -> list[dict[str, Any]]:
        return [
            {
                "apiGroups": [right.resource.group],
                "resources": [right.resource.name],
                "verbs": [right.verb],
                **({"resourceNames": list(right.names)} if right.names else {}),
            }
            for right in RIGHTS
            if right.scope in scopes
        ]

    rbac = "rbac.authorization.k8s.io"
    for kind, where, scopes in (
        ("ClusterRole", {}, ("requests", "cluster")),
        ("Role", {"namespace": home}, ("lease",)),
    ):
        role = {
            "apiVersion": f"{rbac}/v1",
            "kind": kind,
            "metadata": {"name": home, **where},
            "rules": rules(*scopes),
        }
        reference = {"apiGroup": rbac, "kind": kind, "name": home}
        binding = {
            "apiVersion": f"{rbac}/v1",
            "kind": f"{kind}Binding",
            "metadata": role["metadata"],
            "roleRef": reference,
        }
        for body in (role, {**binding, "subjects": [account]}):
            control_plane.kubectl("create", "-f", "-", stdin=json.dumps(body))
    account_file = control_plane.kubeconfig_for(f"system:serviceaccount:{home}:default")
    replica = replicas.start(f"--lease-namespace={home}", kubeconfig=account_file)
    request = parked(control_plane, namespace, "humble")
    (job,) = real.until("its Job", lambda: jobs_of(control_plane, request))
    control_plane.kubectl(
        "patch", "treq", "humble", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}'
    )
    real.until("the Job goes", lambda: jobs_of(control_plane, request) == [])
    calls = [
        line
        for line in replica.get("/metrics")[1].splitlines()
        if line.startswith("tunesmith_api_requests_total")
    ]
    assert [line for line in calls if 'code="403"' in line] == []
    assert replica.logged("warning") + replica.logged("error") == []
    describe = control_plane.kubectl("describe", "treq", "humble", "-n", namespace).stdout
    assert "tunesmith.dev/controller" in describe, f"Events are written too; {job} was made"


WRONG = {
    "--config=/nowhere": "the configuration /nowhere cannot be read: No such file or directory",
    "--workers=0": "argument --workers: must be 1 or more, not '0'",
    "--qps=fast": "argument --qps: must be a number above 0, not 'fast'",
    "--metrics-address=8080": "'8080' is not an address; write host:port or :port",
}


@pytest.mark.parametrize(("argument", "expected"), WRONG.items(), ids=WRONG)
def test_a_wrong_command_line_ends_with_2_and_its_reason(argument: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith_controller.main", argument],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert expected in done.stderr
