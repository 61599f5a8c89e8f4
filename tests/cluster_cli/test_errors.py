"""What goes wrong with a cluster is said with what to do, and with the exit code of its kind."""

import os
import subprocess
import sys

import pytest
from control_plane import free_ports

from tunesmith.errors import Gone
from tunesmith_cli.cluster.api import connect
from tunesmith_cli.cluster.faults import fault, parts

COMPLETE = "import sys; from tunesmith_cli import complete"


def test_no_kubeconfig(cluster):
    said = cluster("status", "--kubeconfig", "/nowhere", expect=64).stderr
    assert "there is no kubeconfig at /nowhere" in said
    assert "--kubeconfig" in said


def test_a_context_that_is_not_there(cluster):
    assert "has no context 'nope'" in cluster("status", "--context", "nope", expect=64).stderr


def test_a_server_that_cannot_be_reached(cluster, tmp_path):
    port = free_ports(1)[0]
    text = cluster.plane.kubeconfig.read_text().replace(cluster.plane.url, f"https://127.0.0.1:{port}")
    (tmp_path / "config").write_text(text)
    said = cluster("status", kubeconfig=tmp_path / "config", expect=75).stderr
    assert f"the cluster at https://127.0.0.1:{port} cannot be reached" in said


FORBIDDEN = {  # command -> what is missing
    "status": ("list trainingrequests", "'view'"),
    "suspend riddles": ("get trainingrequests", "'view'"),
    "submit FILE": ("get trainingrequests", "'view'"),
}


@pytest.mark.parametrize(("words", "expected"), FORBIDDEN.items(), ids=FORBIDDEN)
def test_who_may_not_is_told_what_is_missing_and_which_role_has_it(cluster, words, expected):
    cluster.create()
    what, role = expected
    arguments = [str(cluster.write()) if word == "FILE" else word for word in words.split()]
    said = cluster(*arguments, kubeconfig=cluster.plane.kubeconfig_for("alice"), expect=77).stderr
    assert f"you may not {what} in namespace {cluster.namespace}" in said
    assert role in said
    assert "kubectl auth can-i" in said


def test_a_cluster_without_the_crd_is_told_from_a_request_that_is_not_there(cluster):
    api = connect(str(cluster.plane.kubeconfig))
    with pytest.raises(Gone, match="does not know TrainingRequests") as caught:
        api.get("/apis/tunesmith.dev/v0/trainingrequests")
    assert caught.value.reason == "NotInstalled"
    said = cluster("status", "nobody", expect=66).stderr
    assert f"there is no request 'nobody' in namespace {cluster.namespace}" in said


def test_without_the_client_the_extra_is_named():
    hidden = "import sys; sys.modules['kubernetes'] = None"
    code = f"{hidden}; from tunesmith_cli import main; sys.exit(main(['status', '--cluster']))"
    env = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 64
    assert "tunesmith[cluster]" in done.stderr


SCRIPTS = {  # what a script calls -> a module of its extra, and the extra
    "tunesmith_cli.main": ("typer", "tunesmith[cli]"),
    "tunesmith_cli.complete": ("typer", "tunesmith[cli]"),
    "tunesmith_controller.run": ("kubernetes", "tunesmith[controller]"),
}


@pytest.mark.parametrize(("script", "module", "extra"), [(name, *facts) for name, facts in SCRIPTS.items()])
def test_a_script_without_its_extra_says_what_to_install(script, module, extra):
    """Installing the contract alone installs its scripts too."""
    package, _, entry = script.partition(".")
    hidden = f"import sys; sys.modules['{module}'] = None"
    code = f"{hidden}; from {package} import {entry}; sys.exit({entry}())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert f"pip install '{extra}'" in done.stderr
    assert "Traceback" not in done.stderr


PATHS = {
    "/api/v1/namespaces/team/pods/x/portforward?ports=1": ("team", "pods", "x", "portforward"),
    "/apis/tunesmith.dev/v1alpha1/trainingrequests": ("", "trainingrequests", "", ""),
    "/apis/batch/v1/namespaces/team/jobs": ("team", "jobs", "", ""),
    "/api/v1/namespaces/team": ("", "namespaces", "team", ""),
}


@pytest.mark.parametrize(("path", "expected"), PATHS.items(), ids=PATHS)
def test_a_path_says_what_was_asked_for(path, expected):
    assert parts(path) == expected


CODES = {500: 75, 503: 75, 429: 75, 401: 77, 409: 1, 422: 78, 418: 1}


@pytest.mark.parametrize(("status", "code"), CODES.items(), ids=map(str, CODES))
def test_each_refusal_has_its_exit_code(status, code):
    assert (
        fault(
            status, b"no JSON", method="GET", path="/api/v1/namespaces/a/pods", server="https://c"
        ).exit_code
        == code
    )


def test_kubectl_completes_commands_and_names(cluster):
    cluster.create("riddles")
    cluster.create("tickets")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(cluster.folder),
        "KUBECONFIG": str(cluster.plane.kubeconfig),
    }
    words_after = {}
    for words in (
        ["sus"],
        ["status", "-n", cluster.namespace, "ri"],
        ["report", "-n", cluster.namespace, ""],
    ):
        code = f"{COMPLETE}; sys.argv[1:] = sys.argv[2:]; sys.exit(complete())"
        done = subprocess.run(
            [sys.executable, "-c", code, "-", *words], capture_output=True, text=True, env=env, check=True
        )
        *lines, last = done.stdout.splitlines()
        assert last == ":4"
        words_after[words[0]] = [line.split("\t")[0] for line in lines]
    assert words_after == {"sus": ["suspend"], "status": ["riddles"], "report": ["riddles", "tickets"]}


def test_completion_without_a_cluster_is_silent(tmp_path):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    code = f"{COMPLETE}; sys.argv[1:] = ['wait', '']; sys.exit(complete())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert (done.stdout, done.stderr) == (":4\n", "")
