"""The controller's pods: placement, arguments, variables, account; set and not set."""

import pytest
from rendering import NAMESPACE, controller, objects, template

from tunesmith_controller.main import parse_options


def pod(values):
    return controller(values)["spec"]["template"]["spec"]


PLACEMENT = {
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "infra", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
}


@pytest.mark.parametrize(("field", "value"), PLACEMENT.items(), ids=PLACEMENT)
def test_placement_is_set_where_it_is_given_and_only_there(field, value):
    assert pod({"controller": {field: value}})[field] == value
    assert field not in pod({})


@pytest.mark.parametrize("replicas", [0, 1, 2])
def test_replicas_count_zero_too(replicas):
    assert controller({"controller": {"replicas": replicas}})["spec"]["replicas"] == replicas


def test_replicas_are_spread_over_nodes_by_their_own_labels():
    [constraint] = pod({})["topologySpreadConstraints"]
    labels = controller({})["spec"]["selector"]["matchLabels"]
    assert constraint["labelSelector"]["matchLabels"] == labels
    assert labels.items() <= controller({})["spec"]["template"]["metadata"]["labels"].items()
    assert "topologySpreadConstraints" not in pod({"controller": {"topologySpreadConstraints": []}})


def test_a_constraint_keeps_the_selector_that_it_has_the_empty_one_too():
    own = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    constraints = [own | {"labelSelector": selector} for selector in ({}, {"matchLabels": {"a": "b"}})]
    assert (
        pod({"controller": {"topologySpreadConstraints": constraints}})["topologySpreadConstraints"]
        == constraints
    )
    text = template({"controller": {"topologySpreadConstraints": constraints[:1]}}).stdout
    assert text.count("labelSelector:") == 1, "a second one would count, in YAML as it is read"


def test_labels_of_ones_own_never_move_the_pods_out_of_their_selector():
    values = {"controller": {"podLabels": {"app.kubernetes.io/name": "other", "team": "ml"}}}
    metadata = controller(values)["spec"]["template"]["metadata"]["labels"]
    assert (metadata["app.kubernetes.io/name"], metadata["team"]) == ("tunesmith", "ml")


def test_more_variables_are_there_if_given():
    [container] = pod({"controller": {"extraEnv": [{"name": "A", "value": "1"}]}})["containers"]
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert "env" not in pod({})["containers"][0]


ARGUMENTS = {
    "by itself": ({}, {"namespaces": (), "log_format": "text", "workers": 8}),
    "in two namespaces": ({"scope": {"namespaces": ["a", "b"]}}, {"namespaces": ("a", "b")}),
    "with logs for a store": (
        {"controller": {"logFormat": "json", "logLevel": "debug"}},
        {"log_format": "json", "log_level": "debug"},
    ),
    "with arguments of one's own": ({"controller": {"extraArgs": ["--workers=2"]}}, {"workers": 2}),
}


@pytest.mark.parametrize(("values", "options"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_the_controller_understands_its_arguments(values, options, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    [container] = pod(values)["containers"]
    assert container["command"] == ["python", "-m", "tunesmith_controller.main"]
    read = vars(parse_options(container["args"]))
    same = {
        "lease_name": "tunesmith-controller",
        "lease_namespace": NAMESPACE,
        "leader_election": True,
        "metrics_address": ":8080",
    }
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {name: read[name] for name in (same | options)} == same | options
    assert str(read["config"].parent) in mounted
    [port] = container["ports"]
    assert read["metrics_address"] == f":{port['containerPort']}"


def test_annotations_of_the_service_account_are_there_if_given():
    values = {"serviceAccount": {"annotations": {"a": "b"}, "name": "me"}}
    assert objects(values)["ServiceAccount", "me"]["metadata"]["annotations"] == {"a": "b"}
    assert "annotations" not in objects()["ServiceAccount", "tunesmith-controller"]["metadata"]
    assert pod(values)["serviceAccountName"] == "me"
    assert pod({"serviceAccount": {"create": False, "name": "default"}})["serviceAccountName"] == "default"
