"""The chart's roles grant exactly the calls that the controller lists (tunesmith_controller/rights.py)."""

import pytest
from rendering import objects

from tunesmith_controller.rights import RIGHTS

READ = {"get", "list", "watch"}
WRITE = {"create", "update", "patch", "delete", "deletecollection"}


def granted(role):
    """(group, resource, verb, names) of every right in a role."""
    return {
        (group, resource, verb, tuple(rule.get("resourceNames", ())))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed(scope):
    return {(*right.key, right.names) for right in RIGHTS if right.scope == scope}


def test_every_right_says_what_needs_it():
    assert len(RIGHTS) > 15
    assert [right.key for right in RIGHTS if len(right.why) < 10] == []


def test_in_all_namespaces_the_controller_may_do_what_it_calls():
    assert granted(objects()["ClusterRole", "tunesmith-tunesmith-controller"]) == needed("requests")


def test_of_requests_it_writes_the_status_alone_and_deletes_what_has_expired():
    verbs = {
        verb
        for _, resource, verb, _ in granted(objects()["ClusterRole", "tunesmith-tunesmith-controller"])
        if "requests" in resource
    }
    assert verbs == {"get", "list", "watch", "delete", "patch", "update"}


def test_in_listed_namespaces_it_may_do_the_same_there_and_nothing_elsewhere():
    rendered = objects({"scope": {"namespaces": ["a", "b"]}})
    assert (
        granted(rendered["Role", "a/tunesmith-controller"])
        == granted(rendered["Role", "b/tunesmith-controller"])
        == needed("requests")
    )
    cluster = {name for kind, name in rendered if kind == "ClusterRole"}
    assert "tunesmith-tunesmith-controller" not in cluster
    bound = {
        document["roleRef"]["name"]
        for (kind, _), document in rendered.items()
        if kind == "ClusterRoleBinding"
    }
    assert bound == {"tunesmith-tunesmith-controller-crd", "tunesmith-tunesmith-test"}


def test_it_may_read_its_own_crd_and_no_other():
    assert granted(objects()["ClusterRole", "tunesmith-tunesmith-controller-crd"]) == needed("cluster")


def test_of_the_leases_it_may_change_the_one_that_it_holds():
    own = ("tunesmith-controller",)
    narrowed = {
        (*right.key, () if right.verb == "create" else own) for right in RIGHTS if right.scope == "lease"
    }
    assert granted(objects()["Role", "tunesmith-controller-lease"]) == narrowed


def test_every_binding_names_the_controllers_account():
    rendered = objects({"scope": {"namespaces": ["a"]}, "serviceAccount": {"name": "me"}})
    subjects = {
        str(document["subjects"])
        for (kind, name), document in rendered.items()
        if kind.endswith("Binding") and not name.endswith("-test")
    }
    assert subjects == {"[{'kind': 'ServiceAccount', 'name': 'me', 'namespace': 'tunesmith'}]"}


def test_nobody_reads_secrets_and_no_right_is_a_star():
    for values in ({}, {"scope": {"namespaces": ["a"]}}, {"tryout": {"enabled": True}}):
        roles = [
            document for (kind, _), document in objects(values).items() if kind in ("Role", "ClusterRole")
        ]
        rights = set().union(*map(granted, roles))
        assert len(rights) > 20
        assert [right for right in rights if right[1].startswith("secrets") or "*" in right] == []


USERS = {
    "view": {("trainingrequests", verb) for verb in READ},
    "edit": {("trainingrequests", verb) for verb in READ | WRITE},
    "admin": {("trainingrequests", verb) for verb in READ | WRITE},
}


@pytest.mark.parametrize(("role", "rights"), USERS.items(), ids=USERS)
def test_who_has_a_role_in_a_namespace_has_it_for_requests(role, rights):
    own = objects()["ClusterRole", f"tunesmith-tunesmith-{role}"]
    assert own["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{role}"] == "true"
    assert {(resource, verb) for _, resource, verb, _ in granted(own)} == rights | {
        ("trainingrequests/status", "get")
    }


def test_the_test_of_the_installation_may_ask_for_a_dry_run_and_little_else():
    rendered = objects()
    assert granted(rendered["Role", "tunesmith-test"]) == {
        ("apps", "deployments", "get", ("tunesmith-controller",)),
        ("coordination.k8s.io", "leases", "get", ("tunesmith-controller",)),
        ("tunesmith.dev", "trainingrequests", "create", ()),
    }
    assert granted(rendered["ClusterRole", "tunesmith-tunesmith-test"]) == needed("cluster")
    kinds = {
        kind
        for (kind, name), document in rendered.items()
        if "helm.sh/hook" in document["metadata"].get("annotations", {})
    }
    assert kinds == {"Pod", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
