"""What docs/explanation/security.md promises, cell by cell, tried by somebody who has just that role.

The table is read from the page: a cell whose words change has to be tried again.
"""

import json
import re
import shlex
from dataclasses import dataclass

import kubernetes
import pytest
from rendering import ROOT, objects
from requests_for_tests import document

from tests.controller.pods.built_jobs import build
from tunesmith_controller.metrics import Metrics

PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")
KINDS = {
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "CustomResourceDefinition",
}


def table():
    """Who -> column -> what the page says."""
    lines = [line for line in PAGE.split("## Tenancy")[1].split("## ")[0].split("\n") if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


Call = str | tuple[str, object]  # method and path, and maybe a body


@dataclass(frozen=True)
class Person:
    """Somebody, in the namespace where the role is."""

    client: kubernetes.client.ApiClient
    home: str
    elsewhere: str
    lease: str  # the controller's own namespace

    def may(self, call: Call) -> bool:
        """Whether the API server does what is asked, or would but for something beside the rights."""
        line, body = (call, None) if isinstance(call, str) else call
        method, path = line.format(home=self.home, elsewhere=self.elsewhere, lease=self.lease).split()
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        accepted = {"Accept": "application/json"}
        _, url, headers, _, _ = self.client.param_serialize(
            method, path, header_params=accepted, auth_settings=["BearerToken"]
        )
        headers |= {"Content-Type": content} if body is not None else {}
        answer = self.client.rest_client.request(method, url, headers=headers, body=body).response
        text = answer.read()
        # The pod has no node, the object is there already or no longer, no connection was upgraded.
        assert 200 <= answer.status < 300 or answer.status in (400, 403, 404, 409, 500), text
        # A proxy to a pod that another test's node runs is refused too, for its address.
        return answer.status != 403 or b" cannot " not in text

    def each(self, *calls: Call) -> list[bool]:
        return [self.may(call) for call in calls]


REQUEST = document({"model.base": "hf://org/m"}, name="made")
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "made"},
    "spec": {
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}},
        "suspend": True,
    },
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "made"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
TREQS = "/apis/tunesmith.dev/v1alpha1/namespaces/{home}/trainingrequests"
CORE, JOBS = "/api/v1/namespaces/{home}", "/apis/batch/v1/namespaces/{home}/jobs"
STATUS = (f"PATCH {TREQS}/there/status", {"status": {"message": "m"}})
EDIT = (f"PATCH {TREQS}/there", {"spec": {"suspend": True}})
READS = (f"GET {TREQS}", f"GET {TREQS}/there", f"GET {TREQS}?watch=true&timeoutSeconds=1")
WRITES = ((f"POST {TREQS}", REQUEST), EDIT, f"DELETE {TREQS}/made")
SECRETS = (
    f"GET {CORE}/secrets",
    f"GET {CORE}/secrets/keys",
    f"GET {CORE}/secrets?watch=true&timeoutSeconds=1",
)
LOGS = (f"GET {CORE}/pods/waits/log",)
A_POD = (f"POST {CORE}/pods", POD)
INTO_A_POD = (
    f"POST {CORE}/pods/waits/exec?command=env",
    f"POST {CORE}/pods/waits/attach",
    f"POST {CORE}/pods/waits/portforward",
    f"GET {CORE}/pods/waits/proxy/",
)
A_JOB = (f"POST {JOBS}", JOB)
ELSEWHERE = tuple(
    call.replace("{home}", "{elsewhere}")
    for call in (f"GET {TREQS}", f"GET {CORE}/secrets", f"GET {CORE}/pods", f"GET {CORE}/configmaps")
)


def reads(person):
    assert all(person.each(*READS))
    assert not any(person.each(*WRITES, STATUS))


def writes(person):
    assert all(person.each(*READS, *WRITES))
    assert not any(person.each(STATUS))


def no_secrets(person):
    assert not any(person.each(*SECRETS))


def all_secrets(person):
    assert all(person.each(*SECRETS))


def no_runs(person):
    """Neither a pod with the store's credentials, nor a way into one."""
    assert not any(person.each(A_POD, A_JOB, *INTO_A_POD))


def runs_through_a_pod(person):
    assert all(person.each(A_POD, *INTO_A_POD, f"DELETE {CORE}/pods/made"))


def logs(person):
    assert all(person.each(*LOGS))


def no_logs(person):
    assert not any(person.each(*LOGS))


def nowhere_else(person):
    assert not any(person.each(*ELSEWHERE))


def decides_and_writes_the_status(person):
    everywhere = "GET /apis/tunesmith.dev/v1alpha1/trainingrequests"
    watch = f"{everywhere}?watch=true&timeoutSeconds=1"
    assert all(person.each(everywhere, watch, STATUS, f"DELETE {TREQS}/gone"))
    assert not any(person.each(WRITES[0], EDIT))


def in_its_scope(person):
    assert all(person.each(ELSEWHERE[0], ELSEWHERE[2], "GET /apis/batch/v1/namespaces/{elsewhere}/jobs"))
    assert not any(person.each(ELSEWHERE[1], ELSEWHERE[3]))


def only_what_the_charts_page_lists(person):
    """It makes and deletes Jobs, has no pod of its own and no way into one, and takes no further rights."""
    assert all(person.each(A_JOB, f"DELETE {JOBS}/made", f"GET {CORE}/configmaps/kube-root-ca.crt"))
    assert person.may("GET /apis/coordination.k8s.io/v1/namespaces/{lease}/leases/tunesmith-controller")
    role = {
        "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
    }
    denied = (
        A_POD,
        *INTO_A_POD,
        f"GET {CORE}/configmaps",
        f"DELETE {CORE}/configmaps/kube-root-ca.crt",
        f"GET {CORE}/serviceaccounts",
        (f"POST {CORE}/serviceaccounts/default/token", {"spec": {}}),
        ("POST /apis/rbac.authorization.k8s.io/v1/namespaces/{home}/roles", role),
        "GET /apis/coordination.k8s.io/v1/namespaces/{home}/leases",
        "GET /apis/coordination.k8s.io/v1/namespaces/{lease}/leases",
    )
    assert [call for call in denied if person.may(call)] == []


def no_token(_person):
    """A pod of each stage, as the API server stores it, has no token to ask with."""
    for stage in ("generate", "train", "merge", "evaluate", "deliver"):
        spec = {"output": "s3://o/x"} if stage == "deliver" else {}
        pod = build(stage, spec)["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert not [volume for volume in pod["volumes"] if "projected" in volume or "secret" in volume]


def reads_its_snapshot(_person):
    maps = [
        volume["configMap"]
        for volume in build("train")["spec"]["template"]["spec"]["volumes"]
        if "configMap" in volume
    ]
    assert [entry["name"] for entry in maps] == ["riddles-snapshot-00000000"]


def only_given_secrets(_person):
    container = build("train", profile={"teacherSecret": {"name": "t"}})["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert "envFrom" not in container
    assert "t" not in {
        entry.get("valueFrom", {}).get("secretKeyRef", {}).get("name") for entry in container["env"]
    }


def no_names_in_metrics(_person):
    labels = {
        label
        for family in Metrics().registry.collect()
        for sample in family.samples
        for label in sample.labels
    }
    assert labels <= {
        "kind",
        "thread",
        "stage",
        "reason",
        "phase",
        "profile",
        "result",
        "verb",
        "resource",
        "code",
        "le",
        "version",
    }


def nothing_to_try(_person):
    """Nothing of the API server's: SECURITY.md and the tests of stages have it."""


PROMISES = {  # who -> column -> the page's words, and what is tried
    "`view` in a namespace": {
        "requests": ("reads", reads),
        "Secrets": ("–", no_secrets),
        "runs in the store": ("–", no_runs),
        "logs": ("of its pods", logs),
        "other namespaces": ("–", nowhere_else),
    },
    "a role for requests only (below)": {
        "requests": ("writes", writes),
        "Secrets": ("–", no_secrets),
        "runs in the store": ("–", no_runs),
        "logs": ("–", no_logs),
        "other namespaces": ("–", nowhere_else),
    },
    "`edit`, `admin` in a namespace": {
        "requests": ("writes", writes),
        "Secrets": (
            "reads all of the namespace, including the profile's: that is Kubernetes' own rule",
            all_secrets,
        ),
        "runs in the store": ("its own, through a pod of the namespace", runs_through_a_pod),
        "logs": ("of its pods", logs),
        "other namespaces": ("–", nowhere_else),
    },
    "pod of a stage": {
        "requests": ("reads its snapshot", reads_its_snapshot),
        "Secrets": ("those it is given, as variables", only_given_secrets),
        "runs in the store": (
            "what the store's credentials allow; it keeps to its run, and to what the request names",
            nothing_to_try,
        ),
        "logs": ("–", no_token),
        "other namespaces": ("no API token, so nothing", no_token),
    },
    "controller": {
        "requests": ("reads, writes the status; deletes one that asks for it", decides_and_writes_the_status),
        "Secrets": ("no right to read any", no_secrets),
        "runs in the store": ("no credentials", only_what_the_charts_page_lists),
        "logs": ("reads the end of a running stage's", logs),
        "other namespaces": ("all of its `scope`", in_its_scope),
    },
    "Prometheus": {
        "requests": ("numbers by phase, profile, stage and reason; no names", no_names_in_metrics),
        "Secrets": ("–", nothing_to_try),
        "runs in the store": ("–", nothing_to_try),
        "logs": ("–", nothing_to_try),
        "other namespaces": ("–", nothing_to_try),
    },
}


def test_every_cell_of_the_page_is_tried():
    said = {who: dict(cells) for who, cells in table().items()}
    assert said == {
        who: {column: words for column, (words, _) in cells.items()} for who, cells in PROMISES.items()
    }


@pytest.fixture(scope="module")
def people(control_plane):
    """Everybody of the table who has an account, in a cluster with the chart's roles."""
    lease, home, elsewhere = (control_plane.namespace() for _ in range(3))
    rendered = objects(namespace=lease)
    wanted = [thing for (kind, _), thing in rendered.items() if kind in KINDS]
    control_plane.kubectl("apply", "--server-side", "-n", lease, "-f", "-", stdin=json.dumps(as_list(wanted)))
    control_plane.kubectl(
        "wait", "crd/trainingrequests.tunesmith.dev", "--for=condition=Established", "--timeout=30s"
    )
    make = ("create", "-n", home)
    control_plane.kubectl(
        *make, "-f", "-", stdin=json.dumps(as_list([a_request("there"), a_request("gone")]))
    )
    control_plane.kubectl(*make, "secret", "generic", "keys", "--from-literal=key=value")
    control_plane.kubectl(*make, "-f", "-", stdin=json.dumps(POD | {"metadata": {"name": "waits"}}))
    for command in re.findall(r"^kubectl (create role.* tunesmith-user .*)$", PAGE, re.MULTILINE):
        control_plane.kubectl(*shlex.split(command), "-n", home)
    for role in ("view", "edit", "admin"):
        control_plane.kubectl(*make, "rolebinding", role, f"--clusterrole={role}", f"--user={role}")
    account = f"system:serviceaccount:{lease}:tunesmith-controller"
    accounts = {"view": (), "edit": (), "admin": (), "researcher": ("researchers",)}
    configs = {name: control_plane.kubeconfig_for(name, groups) for name, groups in accounts.items()}
    configs["controller"] = control_plane.kubeconfig_for(account)
    yield {
        name: Person(kubernetes.config.new_client_from_config(str(config)), home, elsewhere, lease)
        for name, config in configs.items()
    }
    for thing in wanted:
        if thing["kind"].startswith("Cluster"):
            control_plane.kubectl("delete", thing["kind"], thing["metadata"]["name"])
    control_plane.kubectl("delete", "crd", "trainingrequests.tunesmith.dev")


def a_request(name):
    return document({"model.base": "hf://org/m"}, name=name)


def as_list(items):
    return {"apiVersion": "v1", "kind": "List", "items": items}


ACCOUNTS = {
    "`view` in a namespace": ("view",),
    "a role for requests only (below)": ("researcher",),
    "`edit`, `admin` in a namespace": ("edit", "admin"),
    "controller": ("controller",),
}
CELLS = [
    pytest.param(account, tried, id=f"{account or who}: {column}")
    for who, cells in PROMISES.items()
    for account in ACCOUNTS.get(who, ("",))
    for column, (_, tried) in cells.items()
]


@pytest.mark.parametrize(("account", "tried"), CELLS)
def test_the_page_is_right(people, account, tried):
    tried(people.get(account))
