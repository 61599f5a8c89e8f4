"""The control plane that other tests stand on does what they rely on."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from control_plane import kubectl


def test_a_pod_that_breaks_pod_security_is_refused_where_the_namespace_enforces_it(control_plane):
    namespace = control_plane.namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    refused = control_plane.kubectl("run", "x", "--image=x", "-n", namespace, check=False)
    assert (refused.returncode, "violates PodSecurity" in refused.stderr) == (1, True), refused


WHO = {
    "a user with groups": ("jane@example.com", ("developers", "system:basic-user"), None),
    "a user whose name has a slash": ("oidc/jane", ("a+b", "c/d"), None),
    "a service account": (
        "system:serviceaccount:default:default",
        (),
        ("system:serviceaccounts", "system:serviceaccounts:default"),
    ),
}


@pytest.mark.parametrize(("user", "groups", "given"), WHO.values(), ids=WHO)
def test_somebody_else_is_known_by_name_and_groups_and_may_nothing(control_plane, user, groups, given):
    theirs = control_plane.kubeconfig_for(user, groups)
    who = kubectl(
        theirs, "auth", "whoami", "-o=jsonpath={.status.userInfo.username} {.status.userInfo.groups[*]}"
    ).stdout.split(" ")
    assert who == [user, *(given or groups), "system:authenticated"]
    refused = kubectl(theirs, "get", "pods", check=False)
    assert (refused.returncode, "Forbidden" in refused.stderr) == (1, True), refused


def test_groups_of_a_service_account_are_not_the_tests_to_say(control_plane):
    with pytest.raises(ValueError, match="give no `groups`"):
        control_plane.kubeconfig_for("system:serviceaccount:default:default", ["x"])


def test_the_api_server_comes_back_with_its_data_and_its_credentials(control_plane):
    namespace = control_plane.namespace()
    theirs = control_plane.kubeconfig_for(f"system:serviceaccount:{namespace}:default")
    control_plane.stop_apiserver()
    assert "refused" in control_plane.kubectl("get", "ns", check=False).stderr
    control_plane.restart_apiserver()
    assert control_plane.kubectl("get", "ns", namespace, "-o=name").stdout == f"namespace/{namespace}\n"
    assert kubectl(theirs, "auth", "whoami").returncode == 0


def test_a_job_gets_its_pod_and_its_owner_takes_it_along(control_plane):
    namespace = control_plane.namespace()
    control_plane.kubectl("create", "job", "j", "--image=x", "-n", namespace)
    _until(
        lambda: control_plane.kubectl("get", "pods", "-n", namespace, "-o=name").stdout.startswith("pod/j-")
    )
    control_plane.kubectl("delete", "job", "j", "-n", namespace, "--cascade=background")
    _until(lambda: not control_plane.kubectl("get", "pods", "-n", namespace, "-o=name").stdout)


KILLED = """
import pathlib, sys, time
from control_plane import running
with running(pathlib.Path(sys.argv[1])) as plane:
    print(" ".join(str(p.pid) for p in plane.processes.values()), flush=True)
    time.sleep(600)
"""


def test_a_killed_test_run_leaves_no_processes(control_plane, tmp_path):
    env = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(__file__))}  # noqa: PTH120
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env
    ) as run:
        children = [int(pid) for pid in run.stdout.readline().split()]
        assert len(children) == 4
        run.kill()
    _until(
        lambda: (
            not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in children)
        )
    )


def _until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
