"""What the chart renders, value by value; a snapshot of the defaults; objects against Kubernetes' schemas."""

import json
import os
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from rendering import (
    CHART,
    EVERYTHING,
    NAMESPACE,
    ROOT,
    STORE,
    TRYOUT,
    config,
    controller,
    helm,
    images,
    objects,
    pod_specs,
    template,
)
from restricted import violations

import tunesmith
from tunesmith import children
from tunesmith.crd import custom_resource_definition
from tunesmith.documents import read_documents
from tunesmith.request import TrainingRequest
from tunesmith_controller.config import parse_config

SNAPSHOT = Path(__file__).parent / "snapshots" / "default.yaml"
SETTINGS = {
    "defaults": {},
    "a store": STORE,
    "everything": EVERYTHING,
    "tryout": TRYOUT,
    "two namespaces": {"scope": {"namespaces": ["a", "b"]}},
}
BY_SHAPE = {
    "ServiceMonitor",
    "PrometheusRule",
}  # kinds of the Prometheus operator, whose schemas Kubernetes does not have


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_every_object_is_what_kubernetes_takes(values):
    rendered = objects(values)
    assert len(rendered) > 10
    for (kind, name), document in rendered.items():
        if kind not in BY_SHAPE:
            for version in (
                "1.31",
                "1.36",
            ):  # the least that Chart.yaml takes, and the one that the tests run on
                kubernetes_validate.validate(document, version, strict=True)
        assert (
            name.endswith("-extra")
            or document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "tunesmith"
        ), name


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_every_pod_is_restricted(values):
    pods = dict(pod_specs(objects(values)))
    assert pods
    assert {name: list(violations(spec)) for name, spec in pods.items()} == {name: [] for name in pods}


LOOSE = (
    "line-length",
    "document-start",
    "braces",
    "brackets",
    "commas",
    "indentation",
    "empty-lines",
    "comments-indentation",
)
BROKEN = {
    "no security context": {"containers": [{"name": "c"}]},
    "host network": {"hostNetwork": True, "containers": []},
    "a host path": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}], "containers": []},
}


@pytest.mark.parametrize("spec", BROKEN.values(), ids=BROKEN)
def test_the_check_for_restricted_pods_can_fail(spec):
    assert list(violations(spec))


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_every_container_states_what_it_needs_and_writes_into_volumes_only(values):
    for name, spec in pod_specs(objects(values)):
        for container in spec["containers"]:
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert container["resources"]["limits"].keys() >= {"memory"}, name
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name


def test_only_the_controller_and_the_test_of_the_installation_have_an_api_token():
    with_token = {
        name
        for name, spec in pod_specs(objects(TRYOUT))
        if spec.get("automountServiceAccountToken") is not False
    }
    assert with_token == {"tunesmith-controller", "tunesmith-test"}


def test_the_defaults_are_what_the_snapshot_says():
    """`UPDATE_SNAPSHOT=1` writes it again: then the change of the defaults is in the diff."""
    rendered = [
        f"# {kind} {name}\n{yaml.safe_dump(document)}"
        for (kind, name), document in sorted(objects().items())
        if "CustomR" not in kind
    ]
    text = "---\n".join(rendered)
    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8")


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_what_is_rendered_is_clean_yaml(values, tmp_path):
    (tmp_path / "rendered.yaml").write_text(
        "\n".join(line.rstrip() for line in template(values).stdout.splitlines()) + "\n", encoding="utf-8"
    )
    rules = {
        "extends": "default",
        "rules": dict.fromkeys(LOOSE, "disable") | {"comments": {"min-spaces-from-content": 1}},
    }
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "-d", json.dumps(rules), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_helm_lint_has_nothing_to_say():
    done = helm("lint", "--strict", "--kube-version", "1.36.0", str(CHART))
    assert (done.returncode, [line for line in done.stdout.splitlines() if "[W" in line or "[E" in line]) == (
        0,
        [],
    ), done.stdout


def test_what_is_generated_is_what_the_comments_say():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/chart.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_chart_and_images_have_the_version_of_the_project():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (tunesmith.__version__, tunesmith.__version__)
    assert images(objects(TRYOUT)) == {
        f"tunesmith-{name}:{tunesmith.__version__}"
        for name in ("controller", "generate", "train", "merge", "tryout")
    }


ANNOTATIONS = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["annotations"]


def test_artifact_hub_is_told_every_image_that_the_chart_can_start():
    listed = {entry["image"] for entry in yaml.safe_load(ANNOTATIONS["artifacthub.io/images"])}
    assert listed == images(objects(TRYOUT))


def test_artifact_hub_is_told_of_the_custom_resource_with_an_example_that_is_valid():
    [crd] = yaml.safe_load(ANNOTATIONS["artifacthub.io/crds"])
    names = custom_resource_definition()
    assert (crd["kind"], crd["version"], crd["name"]) == (
        names["spec"]["names"]["kind"], names["spec"]["versions"][0]["name"], names["metadata"]["name"],
    )  # fmt: skip
    [example] = yaml.safe_load(ANNOTATIONS["artifacthub.io/crdsExamples"])
    assert TrainingRequest.model_validate_json(json.dumps(example)).metadata.name == "riddles"


def test_every_change_is_of_a_kind_that_artifact_hub_knows():
    changes = yaml.safe_load(ANNOTATIONS["artifacthub.io/changes"])
    assert {change["kind"] for change in changes} <= {
        "added",
        "changed",
        "deprecated",
        "removed",
        "fixed",
        "security",
    }
    assert all(change["description"] for change in changes)


# the custom resource


def test_names_that_look_like_numbers_stay_names():
    values = {**EVERYTHING, "images": {"pullSecrets": ["123"]}, "serviceAccount": {"name": "1e5"}}
    values["controller"] = EVERYTHING["controller"] | {"priorityClassName": "0"}
    values["networkPolicy"] = {
        "controller": {"enabled": True},
        "jobs": {"enabled": True, "namespaces": ["12"]},
    }
    values["tests"] = {"namespaces": ["012"]}
    rendered = objects(values, namespace="123")
    for (kind, _), document in rendered.items():
        if kind not in BY_SHAPE:
            kubernetes_validate.validate(document, "1.36", strict=True)
    assert {type(document["metadata"].get("namespace", "")) for document in rendered.values()} == {str}
    [account] = [
        document for (kind, name), document in rendered.items() if (kind, name) == ("ServiceAccount", "1e5")
    ]
    assert account["metadata"]["name"] == "1e5"


@pytest.mark.parametrize("least", [1, "50%"])
def test_a_disruption_budget_lets_a_node_be_drained(least):
    rendered = objects({"controller": {"podDisruptionBudget": {"enabled": True, "minAvailable": least}}})
    spec = rendered["PodDisruptionBudget", "tunesmith-controller"]["spec"]
    assert (spec["minAvailable"], spec["unhealthyPodEvictionPolicy"]) == (least, "AlwaysAllow")


def test_the_crd_is_the_models_own_and_stays_when_the_chart_goes():
    crd = objects()["CustomResourceDefinition", "trainingrequests.tunesmith.dev"]
    assert crd["spec"] == custom_resource_definition()["spec"]
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_crd_goes_with_the_chart_if_somebody_says_so():
    crd = objects({"crds": {"keep": False}})["CustomResourceDefinition", "trainingrequests.tunesmith.dev"]
    assert "helm.sh/resource-policy" not in crd["metadata"].get("annotations", {})


def test_without_crds_there_is_none():
    assert "CustomResourceDefinition" not in {kind for kind, _ in objects({"crds": {"enabled": False}})}


# the configuration


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_the_controller_reads_its_configuration(values):
    read = parse_config(read_documents(config(values))[0], "the ConfigMap")
    assert set(read.profiles) == ({"default"} if values in (STORE, EVERYTHING, TRYOUT) else set())
    for profile in read.profiles.values():
        assert (profile.images.generate, profile.images.train) == (
            "tunesmith-generate:0.1.0",
            "tunesmith-train:0.1.0",
        )


ODD = (
    "012",
    "1e5",
    "2e-4",
    "yes",
    "on",
    "n",
    "null",
    "~",
    "2026-11-23",
    "12:30:00",
    "1_000",
    "0x1f",
    "a: b",
    "# no comment",
    "{{ x }}",
    "é\n",
    "",
)


def test_odd_strings_reach_the_controller_as_they_are():
    values = {
        "profiles": {
            "default": {
                "store": {"url": "s3://b"},
                "env": {f"V{number}": text for number, text in enumerate(ODD)},
            }
        }
    }
    [profile] = parse_config(read_documents(config(values))[0], "the ConfigMap").profiles.values()
    assert tuple(profile.env.values()) == ODD


def test_stages_log_in_the_controller_s_form():
    own = {
        "default": {"store": {"url": "s3://b"}, "env": {"A": "1"}},
        "plain": {"store": {"url": "s3://b"}, "env": {SWITCH: "text"}},
    }

    def env(form):
        read = parse_config(
            read_documents(config({"profiles": own, "controller": {"logFormat": form}}))[0], "the ConfigMap"
        )
        return {name: profile.env for name, profile in read.profiles.items()}

    assert env("text") == {"default": {"A": "1"}, "plain": {SWITCH: "text"}}
    assert env("json") == {"default": {"A": "1", SWITCH: "json"}, "plain": {SWITCH: "text"}}


SWITCH = "TUNESMITH_LOG_FORMAT"
NUMBERS = {"learningRate": 1e-5, "maxSteps": 1_000_000, "warmupRatio": 0.03, "seed": 12345678}


def test_numbers_reach_the_controller_as_they_are():
    values = {"profiles": {"default": {"store": {"url": "s3://b"}, "defaults": {"training": NUMBERS}}}}
    [profile] = parse_config(read_documents(config(values))[0], "the ConfigMap").profiles.values()
    read = profile.defaults["training"]
    assert read == NUMBERS
    assert {name: type(value) for name, value in read.items()} == {
        name: type(value) for name, value in NUMBERS.items()
    }


def test_another_profile_rolls_the_pods_and_the_same_one_does_not():
    def checksum(values):
        return controller(values)["spec"]["template"]["metadata"]["annotations"]["tunesmith.dev/config"]

    assert checksum(STORE) != checksum({})
    assert checksum({**STORE, "metrics": {"dashboard": {"enabled": True}}}) == checksum(STORE)


# what is there, and what only if asked for


OPTIONAL = {
    "a PodDisruptionBudget": (
        {"controller": {"podDisruptionBudget": {"enabled": True}}},
        ("PodDisruptionBudget", "tunesmith-controller"),
    ),
    "a ServiceMonitor": (
        {"metrics": {"serviceMonitor": {"enabled": True}}},
        ("ServiceMonitor", "tunesmith-controller"),
    ),
    "alerts": (
        {"metrics": {"prometheusRule": {"enabled": True}}},
        ("PrometheusRule", "tunesmith-controller"),
    ),
    "a dashboard": ({"metrics": {"dashboard": {"enabled": True}}}, ("ConfigMap", "tunesmith-dashboard")),
    "the controller's NetworkPolicy": (
        {"networkPolicy": {"controller": {"enabled": True}}},
        ("NetworkPolicy", "tunesmith-controller"),
    ),
    "the jobs' NetworkPolicy": (
        {"networkPolicy": {"jobs": {"enabled": True, "namespaces": ["a"]}}},
        ("NetworkPolicy", "a/tunesmith-jobs"),
    ),
    "the tryout's S3 server": (TRYOUT, ("Deployment", "tunesmith-tryout-s3")),
    "an object of one's own": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}]},
        ("ConfigMap", "x"),
    ),
}


@pytest.mark.parametrize(("values", "key"), OPTIONAL.values(), ids=OPTIONAL)
def test_it_is_there_when_asked_for_and_not_by_itself(values, key):
    assert key in objects(values)
    assert key not in objects()


SWITCHES = {
    "the metrics Service": (
        {"metrics": {"service": {"enabled": False}}},
        ("Service", "tunesmith-controller-metrics"),
    ),
    "the ServiceAccount": (
        {"serviceAccount": {"create": False, "name": "mine"}},
        ("ServiceAccount", "tunesmith-controller"),
    ),
    "the users' roles": ({"rbac": {"aggregate": False}}, ("ClusterRole", "tunesmith-tunesmith-view")),
    "the controller's roles": (
        {"rbac": {"create": False}},
        ("ClusterRole", "tunesmith-tunesmith-controller"),
    ),
}


@pytest.mark.parametrize(("values", "key"), SWITCHES.values(), ids=SWITCHES)
def test_it_is_there_unless_switched_off(values, key):
    assert key in objects()
    assert key not in objects(values)


def test_jobs_reach_dns_and_what_the_values_name_and_nobody_reaches_them():
    egress = [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}]
    spec = objects({"networkPolicy": {"jobs": {"enabled": True, "namespaces": ["a"], "egress": egress}}})[
        "NetworkPolicy", "a/tunesmith-jobs"
    ]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == []
    assert [rule.get("to") for rule in spec["egress"]] == [None, egress[0]["to"]]
    assert {port["port"] for port in spec["egress"][0]["ports"]} == {53}


def test_jobs_of_a_tryout_reach_its_servers():
    values = {**TRYOUT, "networkPolicy": {"jobs": {"enabled": True, "namespaces": ["default"]}}}
    [rule] = objects(values)["NetworkPolicy", "default/tunesmith-jobs"]["spec"]["egress"][1:]
    assert rule["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": NAMESPACE}
    [selector] = rule["to"][0]["podSelector"]["matchExpressions"]
    labels = [
        objects(values)["Deployment", name]["spec"]["template"]["metadata"]["labels"]
        for name in ("tunesmith-tryout-s3", "tunesmith-tryout-teacher")
    ]
    assert {label["app.kubernetes.io/component"] for label in labels} == set(selector["values"])


def test_the_jobs_policy_is_for_what_the_controller_makes():
    rendered = objects({"networkPolicy": {"jobs": {"enabled": True, "namespaces": ["a"]}}})
    selector = rendered["NetworkPolicy", "a/tunesmith-jobs"]["spec"]["podSelector"]["matchLabels"]
    assert selector
    assert selector.items() <= children.labels("riddles", "train", "0.1.0").items()


def test_nothing_of_the_chart_is_taken_for_a_child_of_a_request():
    for document in objects(EVERYTHING).values():
        assert document["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "tunesmith"
        if document["kind"] == "Deployment":
            assert (
                document["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/managed-by"]
                != "tunesmith"
            )
