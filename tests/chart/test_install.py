"""The chart on a real API server: installed, upgraded, uninstalled, and what its accounts may do.

There is no node, so no pod runs here.
"""

import json
import shutil

import pytest
import yaml
from rendering import CHART, EVERYTHING, RELEASE, TRYOUT, helm

from tunesmith_controller.rights import RIGHTS

CRD = "trainingrequests.tunesmith.dev"
REQUEST = """
apiVersion: tunesmith.dev/v1alpha1
kind: TrainingRequest
metadata: {name: kept}
spec: {task: Answer politely., model: {base: "hf://org/name"}}
"""


class Release:
    """A release of the chart in a namespace of its own."""

    def __init__(self, control_plane, folder):
        self.control_plane, self.namespace, self._folder = control_plane, control_plane.namespace(), folder

    def helm(self, command, *arguments, values=None, chart=CHART):
        """`helm <command> tunesmith …`; with `values` the chart's folder is an argument too."""
        where = ["--kubeconfig", str(self.control_plane.kubeconfig), "--namespace", self.namespace]
        if values is not None:
            file = self._folder / "values.json"
            file.write_text(json.dumps(values))
            arguments = (str(chart), "--values", str(file), *arguments)
        done = helm(command, RELEASE, *arguments, *where)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *arguments):
        return json.loads(
            self.control_plane.kubectl("get", "-n", self.namespace, "-o", "json", *arguments).stdout
        )

    def uninstall(self):
        """Remove the release and, unlike Helm, the CRD, so the next test begins without it."""
        if self.control_plane.kubectl(
            "get", "secret", "-n", self.namespace, "-l", "owner=helm", "-o", "name"
        ).stdout:
            self.helm("uninstall", "--no-hooks")
        self.control_plane.kubectl("delete", "crd", CRD, "--ignore-not-found")

    def may(self, questions, *, account="tunesmith-controller"):
        """For each (verb, resource, namespace, name) whether the API server's authorizer allows it.

        All are asked in one call.
        """
        reviews = [
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": f"system:serviceaccount:{self.namespace}:{account}",
                    "groups": [
                        "system:serviceaccounts",
                        f"system:serviceaccounts:{self.namespace}",
                        "system:authenticated",
                    ],
                    "resourceAttributes": {
                        **attributes(resource),
                        "verb": verb,
                        "namespace": namespace,
                        "name": name,
                    },
                },
            }
            for verb, resource, namespace, name in questions
        ]
        form = '-o=jsonpath={.status.allowed}{"\\n"}'
        answers = self.control_plane.kubectl(
            "create", "-f", "-", form, stdin=yaml.safe_dump_all(reviews)
        ).stdout.split()
        return {question: answer == "true" for question, answer in zip(questions, answers, strict=True)}


def attributes(resource):
    """`jobs.batch`, `pods/log` -> group, resource, subresource."""
    whole, _, subresource = resource.partition("/")
    plural, _, group = whole.partition(".")
    return {"group": group, "resource": plural, "subresource": subresource}


@pytest.fixture
def release(control_plane, tmp_path):
    release = Release(control_plane, tmp_path)
    yield release
    release.uninstall()


@pytest.fixture
def team(control_plane):
    return control_plane.namespace()


def test_a_tryout_is_accepted_and_serves_the_custom_resource(release, team):
    release.helm("install", values={"tryout": {"enabled": True, "namespaces": [team]}})
    release.control_plane.kubectl("wait", f"crd/{CRD}", "--for=condition=Established", "--timeout=30s")
    names = {item["metadata"]["name"] for item in release.get("deployments")["items"]}
    assert names == {"tunesmith-controller", "tunesmith-tryout-s3", "tunesmith-tryout-teacher"}
    release.control_plane.kubectl("apply", "-n", team, "-f", "-", stdin=REQUEST)


def test_all_that_the_values_can_switch_on_is_accepted(release, team):
    values = json.loads(json.dumps(EVERYTHING))
    values["networkPolicy"]["jobs"]["namespaces"] = values["tests"]["namespaces"] = [team]
    values["metrics"] |= {
        "serviceMonitor": {"enabled": False},
        "prometheusRule": {"enabled": False},
    }  # kinds of another project
    release.helm("install", values=values)
    release.get("poddisruptionbudget", "tunesmith-controller")
    release.get("networkpolicy", "tunesmith-controller")
    assert (
        release.control_plane.kubectl("get", "networkpolicy", "-n", team, "-o", "name")
        .stdout.strip()
        .endswith("tunesmith-jobs")
    )


def test_pods_are_admitted_where_pod_security_is_restricted(release, team):
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    release.control_plane.kubectl("label", "namespace", release.namespace, enforce)
    release.helm("install", values={"tryout": {"enabled": True, "namespaces": [team]}})
    for deployment in release.get("deployments")["items"]:
        name = deployment["metadata"]["name"]
        release.control_plane.kubectl(
            "wait",
            f"deployment/{name}",
            "-n",
            release.namespace,
            "--for=jsonpath={.status.replicas}",
            "--timeout=60s",
        )
    failures = [
        condition
        for item in release.get("replicasets")["items"]
        for condition in item["status"].get("conditions", ())
    ]
    assert failures == []


def test_an_upgrade_changes_the_custom_resource_and_no_request(release, team, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(CHART, older)
    crd = yaml.safe_load((CHART / "files/crd.yaml").read_text(encoding="utf-8"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["stages"]
    (older / "files/crd.yaml").write_text(yaml.safe_dump(crd), encoding="utf-8")
    release.helm("install", values={}, chart=older)
    assert not _explains(release, "stages")
    release.control_plane.kubectl("wait", f"crd/{CRD}", "--for=condition=Established", "--timeout=30s")
    release.control_plane.kubectl("apply", "-n", team, "-f", "-", stdin=REQUEST)
    before = release.control_plane.kubectl(
        "get", "treq", "kept", "-n", team, "-o", "yaml", "--show-managed-fields"
    ).stdout
    release.helm("upgrade", values={})
    assert _explains(release, "stages")
    assert (
        release.control_plane.kubectl(
            "get", "treq", "kept", "-n", team, "-o", "yaml", "--show-managed-fields"
        ).stdout
        == before
    )


def _explains(release, field):
    installed = json.loads(release.control_plane.kubectl("get", "crd", CRD, "-o", "json").stdout)
    return (
        field
        in installed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    )


def test_uninstalling_keeps_the_custom_resource_and_every_request(release, team):
    release.helm("install", values={})
    release.control_plane.kubectl("wait", f"crd/{CRD}", "--for=condition=Established", "--timeout=30s")
    release.control_plane.kubectl("apply", "-n", team, "-f", "-", stdin=REQUEST)
    release.helm("uninstall", "--no-hooks")
    assert release.get("deployments")["items"] == []
    assert (
        release.control_plane.kubectl("get", "treq", "-n", team, "-o", "name")
        .stdout.strip()
        .endswith("/kept")
    )
    release.control_plane.kubectl("delete", "treq", "kept", "-n", team, "--timeout=30s")


def test_installing_again_takes_the_kept_custom_resource(release):
    release.helm("install", values={})
    release.helm("uninstall", "--no-hooks")
    release.helm("install", values={})


def test_another_release_takes_the_kept_custom_resource_over_with_its_requests(release, team, tmp_path):
    release.helm("install", values={})
    release.control_plane.kubectl("wait", f"crd/{CRD}", "--for=condition=Established", "--timeout=30s")
    release.control_plane.kubectl("apply", "-n", team, "-f", "-", stdin=REQUEST)
    release.helm("uninstall", "--no-hooks")
    other = Release(release.control_plane, tmp_path)
    where = ("--namespace", other.namespace, "--kubeconfig", str(other.control_plane.kubeconfig))
    refused = helm("install", "tuner", str(CHART), *where)
    assert "invalid ownership metadata" in refused.stderr
    taken = helm("install", "tuner", str(CHART), *where, "--take-ownership")
    assert taken.returncode == 0, taken.stderr
    crd = release.get("crd", CRD)["metadata"]["annotations"]
    assert (crd["meta.helm.sh/release-name"], crd["meta.helm.sh/release-namespace"]) == (
        "tuner",
        other.namespace,
    )
    release.control_plane.kubectl("delete", "treq", "kept", "-n", team, "--timeout=30s")
    assert helm("uninstall", "tuner", "--no-hooks", *where).returncode == 0


def test_an_upgrade_keeps_the_tryouts_keys(release, team):
    values = {"tryout": {"enabled": True, "namespaces": [team]}}
    release.helm("install", values=values)
    before = release.get("secret", "tunesmith-tryout-store")["data"]
    release.helm("upgrade", values={**values, "controller": {"replicas": 1}})
    assert release.get("secret", "tunesmith-tryout-store")["data"] == before
    there = json.loads(
        release.control_plane.kubectl(
            "get", "secret", "tunesmith-tryout-store", "-n", team, "-o", "json"
        ).stdout
    )
    assert there["data"] == before


# rights, as the API server's own authorizer sees them


@pytest.fixture(scope="module")
def installed(control_plane, tmp_path_factory):
    """A release whose rights cover all namespaces."""
    release = Release(control_plane, tmp_path_factory.mktemp("release"))
    release.helm("install", values=TRYOUT)
    yield release
    release.uninstall()


def resource_of(right):
    plural = (
        f"{right.resource.plural}.{right.resource.group}" if right.resource.group else right.resource.plural
    )
    return f"{plural}/{right.resource.subresource}" if right.resource.subresource else plural


REFUSED = (
    ("get", "secrets"), ("list", "secrets"), ("watch", "secrets"), ("create", "secrets"),
    ("update", "trainingrequests.tunesmith.dev"), ("patch", "trainingrequests.tunesmith.dev"),
    ("create", "trainingrequests.tunesmith.dev"), ("patch", "jobs.batch"), ("create", "pods"),
    ("update", "pods"),
    ("create", "pods/exec"), ("list", "configmaps"), ("update", "configmaps"), ("delete", "configmaps"),
    ("create", "serviceaccounts/token"), ("get", "nodes"), ("list", "namespaces"),
    ("impersonate", "users"), ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(installed, control_plane):
    """(verb, resource, "team" or "own" namespace, name) -> whether the controller may."""
    places = {"team": control_plane.namespace(), "own": installed.namespace, "all": ""}
    rights = [(right.verb, resource_of(right)) for right in RIGHTS] + list(REFUSED)
    wanted = [
        (*pair, place, name)
        for pair in rights
        for place in places
        for name in ("", "tunesmith-controller", CRD, "another")
    ]
    wanted = list(dict.fromkeys(wanted))
    given = installed.may([(verb, resource, places[place], name) for verb, resource, place, name in wanted])
    return dict(zip(wanted, given.values(), strict=True))


@pytest.mark.parametrize("right", RIGHTS, ids=[f"{right.verb} {resource_of(right)}" for right in RIGHTS])
def test_the_controller_may(right, answers):
    pair = right.verb, resource_of(right)
    match right.scope:
        case "requests":
            assert answers[*pair, "team", "another"]
            assert answers[*pair, "all", ""]
        case "lease" if right.verb == "create":
            assert answers[*pair, "own", ""]
            assert not answers[*pair, "team", ""]
        case "lease":
            assert answers[*pair, "own", "tunesmith-controller"]
            assert not answers[*pair, "own", "another"]
            assert not answers[*pair, "team", "tunesmith-controller"]
        case "cluster":
            assert answers[*pair, "all", CRD]
            assert not answers[*pair, "all", "another"]


@pytest.mark.parametrize(("verb", "resource"), REFUSED, ids=[" ".join(pair) for pair in REFUSED])
def test_the_controller_may_not(verb, resource, answers):
    asked = [allowed for question, allowed in answers.items() if question[:2] == (verb, resource)]
    assert len(asked) == 12
    assert not any(asked)


def test_in_one_namespace_the_controller_may_nothing_elsewhere(control_plane, installed, team, tmp_path):
    """A second release next to the first, whose CRD and users' roles it shares."""
    other = Release(control_plane, tmp_path)
    other.helm(
        "install",
        values={"scope": {"namespaces": [team]}, "crds": {"enabled": False}, "rbac": {"aggregate": False}},
    )
    elsewhere = control_plane.namespace()
    try:
        asked = [
            ("create", "jobs.batch", team, ""),
            ("create", "jobs.batch", elsewhere, ""),
            ("create", "jobs.batch", "", ""),
        ]
        asked.append(("get", "secrets", team, ""))
        assert list(other.may(asked).values()) == [True, False, False, False]
    finally:
        other.helm("uninstall", "--no-hooks")


ROLES = {
    "view": (["get", "list", "watch"], ["create", "delete", "patch"]),
    "edit": (["get", "create", "patch", "delete"], []),
    "admin": (["get", "create", "patch", "delete"], []),
}


@pytest.mark.parametrize(("role", "verbs"), ROLES.items(), ids=ROLES)
def test_who_has_a_role_in_a_namespace_has_it_for_requests(role, verbs, installed, team, control_plane):
    control_plane.kubectl(
        "create", "rolebinding", "r", f"--clusterrole={role}", "--user=somebody", "-n", team
    )

    def may(verb, resource="trainingrequests.tunesmith.dev"):
        return (
            control_plane.kubectl(
                "auth", "can-i", verb, resource, "-n", team, "--as=somebody", check=False
            ).stdout.strip()
            == "yes"
        )

    control_plane.kubectl("wait", f"crd/{CRD}", "--for=condition=Established", "--timeout=30s")
    assert {verb: may(verb) for verb in [*verbs[0], *verbs[1]]} == dict.fromkeys(
        verbs[0], True
    ) | dict.fromkeys(verbs[1], False)
