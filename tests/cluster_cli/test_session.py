"""Data through a session's pod: a real API server and its port-forward, kwok as the kubelet, the real server
behind it, a real S3.
"""

import json
import time

import pytest
import yaml
from cluster.programs import program
from cluster_cli.finished_run import BIG, MADE, TOKEN, serving, whole_run
from cluster_cli.statuses import NOW, condition
from control_plane import free_ports, spawn
from kwok import STAGES

from tunesmith.profile import Profile
from tunesmith.wire import SESSION
from tunesmith_cli.cluster.pod import pod
from tunesmith_cli.cluster.run_data import RunData

NODE = "node-of-sessions"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def profile(store, env, **more):
    return Profile.model_validate(
        {"name": "default", "images": {"generate": "example.org/generate:1", "train": "example.org/train:1"}}
        | {
            "store": {
                "url": store.rpartition("/")[0],
                "endpoint": env["AWS_ENDPOINT_URL_S3"],
                "region": "us-east-1",
                "secret": "store",
            }
        }
        | more,
        strict=False,
    )


def with_run(cluster, store, env, **more):
    """A request whose run is in the store, as the controller leaves it."""
    frozen = {
        "generation": 1,
        "retry": "",
        "rerun": "",
        "profile": profile(store, env, **more).model_dump(mode="json", by_alias=True),
    }
    data = {"request.json": MADE.to_json(), "frozen.json": json.dumps(frozen)}
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "riddles-snapshot-1"},
        "immutable": True,
        "data": data,
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))
    finished = [
        {"stage": stage, "key": MADE.key(stage), "completionTime": NOW} for stage in ("generate", "merge")
    ]
    return cluster.create(
        status={
            "phase": "Succeeded",
            "run": "riddles-1",
            "store": store,
            "snapshot": "riddles-snapshot-1",
            "finished": finished,
            "conditions": [condition("Complete")],
        }
    )


@pytest.fixture
def store(s3, monkeypatch):
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    url = s3.new_url()
    whole_run(url)
    return url


@pytest.fixture(scope="module")
def served_port(installed, tmp_path_factory):
    """A node whose kubelet is kwok: the port-forward to 8080 of a pod ends at this port of this machine."""
    server, target = free_ports(2)
    forward = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterPortForward",
        "metadata": {"name": "sessions"},
        "spec": {"forwards": [{"ports": [8080], "target": {"port": target, "address": "127.0.0.1"}}]},
    }
    folder = tmp_path_factory.mktemp("kwok")
    config = folder / "kwok.yaml"
    config.write_text(STAGES.read_text() + "\n---\n" + yaml.safe_dump(forward))
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": {"kubernetes.io/os": "linux"}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": server}},
        }
        | {kind: {"cpu": "100", "memory": "1Ti", "pods": "100"} for kind in ("capacity", "allocatable")},
    }
    installed.kubectl("create", "-f", "-", stdin=json.dumps(node))
    with (folder / "kwok.log").open("wb") as log:
        command = [
            str(program("kwok")),
            f"--kubeconfig={installed.kubeconfig}",
            f"--config={config}",
        ]
        command += [
            "--manage-all-nodes=true",
            "--node-ip=127.0.0.1",
            f"--node-port={server}",
            f"--server-address=127.0.0.1:{server}",
        ]
        process = spawn(command, log, folder)
    try:
        until = time.monotonic() + 60
        ready = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}{.spec.taints}"
        while installed.kubectl("get", "node", NODE, ready).stdout != "True":
            assert process.poll() is None, (folder / "kwok.log").read_text()[-2000:]
            assert time.monotonic() < until, (folder / "kwok.log").read_text()[-2000:]
            time.sleep(0.2)
        yield target
    finally:
        process.kill()
        process.wait()
        installed.kubectl("delete", "node", NODE)


@pytest.fixture
def session(served_port, cluster, store, s3, monkeypatch):
    """A request with a run, and pods that serve it."""
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: TOKEN)
    with_run(cluster, store, s3.env)
    with serving(store, s3.env, port=served_port) as (process, _):
        yield process


def test_a_fetch_comes_through_a_pod_that_is_gone_afterwards(cluster, session, tmp_path):
    done = cluster("fetch", "riddles", "--to", tmp_path / "got", "--json")
    assert json.loads(done.stdout)["fetched"]["kept"] == 0
    assert (tmp_path / "got" / "model" / "model.safetensors").read_bytes() == BIG
    assert cluster.kubectl("get", "pods", "-l", SESSION, "-o", "name") == ""


def test_logs_of_pods_that_are_gone_come_from_the_store(cluster, session, store):
    from cluster_cli.finished_run import put

    put(store, f"riddles-1/generate/{MADE.key('generate')}/logs/a1.log", b"asked the teacher\n")
    assert cluster("logs", "riddles", "--stage", "generate").stdout == "asked the teacher\n"


def test_report_says_that_there_is_none_yet(cluster, session):
    assert "evaluate is not done" in cluster("report", "riddles", expect=66).stderr


def test_infer_asks_in_a_pod_and_ends_with_its_code(cluster, session):
    done = cluster("infer", "riddles", "hello", expect=66)
    assert "system_message.txt is gone" in done.stderr, (
        "the model here is none: the process that loads it says so"
    )
    assert cluster.kubectl("get", "pods", "-l", SESSION, "-o", "name") == ""


def test_delete_with_data_removes_the_request_then_the_run(cluster, session, store):
    from tunesmith_jobs.storage import open_store

    assert "give --yes" in cluster("delete", "riddles", "--data", expect=64).stderr
    assert cluster.get()
    out = cluster("delete", "riddles", "--data", "--yes").stdout
    assert out.splitlines()[0] == "trainingrequest.tunesmith.dev/riddles deleted"
    assert out.splitlines()[1].startswith(f"{store}/riddles-1/ removed: ")
    assert list(open_store(store).list("")) == []


def test_delete_keeps_the_run_unless_it_is_told(cluster, store, s3):
    from tunesmith_jobs.storage import open_store

    with_run(cluster, store, s3.env)
    assert f"kept in the store: {store}/riddles-1/" in cluster("delete", "riddles").stderr
    assert cluster.kubectl("get", "treq") == ""
    assert len(list(open_store(store).list(""))) > 3


def test_own_credentials_that_open_the_store_need_no_pod(cluster, store, s3, tmp_path):
    with_run(cluster, store, s3.env)
    cluster.env = s3.env
    done = cluster("fetch", "riddles", "--to", tmp_path / "got", "--only", "dataset")
    assert "pod" not in done.stderr
    assert (tmp_path / "got" / "dataset" / "train.jsonl").exists()


def test_own_credentials_that_do_not_open_it_are_said_and_the_pod_is_asked(cluster, session, s3, tmp_path):
    cluster.env = s3.env | {"AWS_SECRET_ACCESS_KEY": "another"}
    done = cluster("fetch", "riddles", "--to", tmp_path / "got", "--only", "dataset")
    assert "your own S3 credentials do not open" in done.stderr
    assert (tmp_path / "got" / "dataset" / "train.jsonl").exists()


@pytest.mark.parametrize("purpose", ["data", "infer"])
def test_the_pod_is_admitted_where_restricted_is_enforced_and_belongs_to_the_request(
    installed, cluster, store, s3, purpose
):
    more = {"caBundle": {"name": "ca"}, "cacheClaim": "cache", "hubSecret": {"name": "hub", "key": "token"}}
    more |= {"allow": {"tokenBases": ["hf://*"]}}
    request = with_run(cluster, store, s3.env, **more)
    cluster.namespace = namespace = installed.namespace(RESTRICTED)
    moved = {**request, "metadata": request["metadata"] | {"namespace": namespace}}
    data = RunData(moved, MADE, profile(store, s3.env, **more), store)
    body = pod("riddles-x", purpose, data, "0" * 64, owned=True)
    made = json.loads(
        cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(body))
    )
    assert made["metadata"]["ownerReferences"][0]["uid"] == request["metadata"]["uid"]
    env = {
        one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"]["name"]
        for one in made["spec"]["containers"][0]["env"]
    }
    assert env["AWS_ACCESS_KEY_ID"] == "store"
    assert env.get("HF_TOKEN") == ("hub" if purpose == "infer" else None)
    assert env["SSL_CERT_FILE"] == "/etc/tunesmith-ca/ca.crt"
    assert made["spec"]["automountServiceAccountToken"] is False
    limits = made["spec"]["containers"][0]["resources"].get("limits", {})
    assert ("nvidia.com/gpu" in limits) is (purpose == "infer" and MADE.spec.training.device == "cuda")
