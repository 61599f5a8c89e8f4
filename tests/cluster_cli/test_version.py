"""`version` with a cluster: what may be seen is said, what does not go together is warned of, nothing is an
error.
"""

import json

import pytest

import tunesmith
from tunesmith.crd import custom_resource_definition
from tunesmith_cli.cluster.release import UNKNOWN

LABELS = {
    "app.kubernetes.io/name": "tunesmith",
    "app.kubernetes.io/part-of": "tunesmith",
    "app.kubernetes.io/component": "controller",
}
CONFIG = """\
images:
  generate: example.org/generate:1
  train: example.org/train:1
  merge: example.org/merge:1
  pullPolicy: Always
"""


@pytest.fixture
def installed_release(cluster):
    """A controller's Deployment as the chart labels it, with its configuration; of which version is up to the
    test.
    """

    def install(version):
        labels = LABELS | {"app.kubernetes.io/version": version}
        pod = {
            "containers": [{"name": "controller", "image": f"example.org/controller:{version}"}],
            "volumes": [{"name": "config", "configMap": {"name": "controller"}}],
        }
        spec = {
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        things = [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "controller", "labels": labels},
                "spec": spec,
            },
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "controller"},
                "data": {"config.yaml": CONFIG},
            },
        ]
        cluster.kubectl(
            "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": things})
        )

    yield install
    cluster.kubectl("delete", "deployment,configmap", "--ignore-not-found", "controller")


def version(cluster, **more):
    done = cluster("version", "-o", "json", here=False, **more)
    return json.loads(done.stdout)["cluster"], done.stderr


def test_a_release_that_goes_together_is_shown_without_a_warning(cluster, installed_release):
    installed_release(tunesmith.__version__)
    release, said = version(cluster)
    image = f"example.org/controller:{tunesmith.__version__}"
    assert release["controller"] == {
        "version": tunesmith.__version__,
        "namespace": cluster.namespace,
        "image": image,
    }
    assert release["images"] == {stage: f"example.org/{stage}:1" for stage in ("generate", "train", "merge")}
    assert (release["crd"]["missingFields"], release["crd"]["newFields"], release["warnings"], said) == (
        [],
        [],
        [],
        "",
    )
    text = cluster("version", here=False).stdout
    assert f"controller {tunesmith.__version__} in namespace {cluster.namespace}, image {image}" in text


def test_another_release_is_warned_of(cluster, installed_release):
    installed_release("9.9.0")
    _, said = version(cluster)
    versions = f"the controller is 9.9.0 and this command line {tunesmith.__version__}"
    assert said == f"warning: {versions}: use the same minor version\n"


def test_who_may_see_nothing_gets_unknown_and_no_error(cluster, installed_release):
    installed_release("9.9.0")
    release, said = version(cluster, kubeconfig=cluster.plane.kubeconfig_for("visitor"))
    assert release["controller"] == {"version": UNKNOWN, "namespace": UNKNOWN, "image": UNKNOWN}
    assert release["crd"] == {"version": UNKNOWN, "missingFields": [], "newFields": []}, (
        "the schema is served to everybody"
    )
    assert (release["images"], said) == (None, "")


def test_fields_that_the_cluster_lacks_or_has_more_are_warned_of(cluster, monkeypatch):
    ours = custom_resource_definition()
    fields = ours["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["temperature"] = {"type": "integer"}
    del fields["retry"]
    monkeypatch.setattr("tunesmith_cli.cluster.release.custom_resource_definition", lambda: ours)
    release, said = version(cluster)
    assert (release["crd"]["missingFields"], release["crd"]["newFields"]) == (
        ["spec.temperature"],
        ["spec.retry"],
    )
    assert "lacks spec.temperature" in said
    assert "has spec.retry" in said


def test_a_cluster_that_is_away_is_said(cluster, tmp_path):
    config = json.loads(cluster.plane.kubectl("config", "view", "--raw", "-o", "json").stdout)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "away"
    away.write_text(json.dumps(config))
    release, _ = version(cluster, kubeconfig=away)
    assert release["crd"]["missingFields"] is None


def test_the_client_alone_asks_nobody(cluster):
    assert json.loads(cluster("version", "--client", "-o", "json", here=False).stdout)["cluster"] is None
