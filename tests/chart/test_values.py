"""Which values are refused, by name, before anything is installed."""

import json
import shutil

import pytest
import yaml
from rendering import CHART, RELEASE, STORE, TRYOUT, config, helm, objects, refusal

from tunesmith.documents import read_documents
from tunesmith.policy import not_allowed
from tunesmith.profile import Profile
from tunesmith.request import parse
from tunesmith_controller.config import parse_config

UNKNOWN = {
    "at the top": ({"controler": {}}, "controler"),
    "inside a part": ({"controller": {"replica": 3}}, "replica"),
    "deep inside": ({"images": {"train": {"digset": "x"}}}, "digset"),
    "in the tryout": ({"tryout": {"enable": True}}, "enable"),
    "in a profile": ({"profiles": {"default": {"store": {"url": "s3://b", "endpont": "x"}}}}, "endpont"),
    "in a profile's defaults": (
        {
            "profiles": {
                "default": {"store": {"url": "s3://b"}, "defaults": {"training": {"learningrate": 1}}}
            }
        },
        "learningrate",
    ),
    "a profile's name inside it": (
        {"profiles": {"default": {"name": "default", "store": {"url": "s3://b"}}}},
        "name",
    ),
}


@pytest.mark.parametrize(("values", "name"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_value_that_nobody_knows_is_refused_by_name(values, name):
    assert f"additional properties '{name}' not allowed" in refusal(values)


WRONG = {
    "replicas in words": ({"controller": {"replicas": "two"}}, "/controller/replicas"),
    "fewer than none": ({"controller": {"replicas": -1}}, "/controller/replicas"),
    "a policy that there is not": ({"images": {"pullPolicy": "Sometimes"}}, "/images/pullPolicy"),
    "half a digest": ({"images": {"train": {"digest": "sha256:123"}}}, "/images/train/digest"),
    "a namespace that is a number": ({"scope": {"namespaces": [5]}}, "/scope/namespaces/0"),
    "one namespace twice": ({"scope": {"namespaces": ["a", "a"]}}, "/scope/namespaces"),
    "a store that is not a URL": (
        {"profiles": {"default": {"store": {"url": "bucket/prefix"}}}},
        "/profiles/default/store/url",
    ),
    "a limit below none": (
        {"profiles": {"default": {"store": {"url": "s3://b"}, "limits": {"gpuJobs": -1}}}},
        "/limits/gpuJobs",
    ),
    "a tryout for nobody": ({"tryout": {"enabled": True, "namespaces": []}}, "/tryout/namespaces"),
}


@pytest.mark.parametrize(("values", "path"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_with_its_path(values, path):
    assert path in refusal(values)


TOGETHER = {
    "a profile without a store": (
        {"profiles": {"gold": {"limits": {"requests": 1}}}},
        "profiles.gold.store.url is empty",
        "set it to s3://",
    ),
    "an empty profile": (
        {"profiles": {"gold": {}}},
        "profiles.gold.store.url is empty",
        "remove the profile",
    ),
    "two default profiles": (
        {**TRYOUT, **STORE},
        "profiles.default.store.url and tryout.enabled",
        "another name",
    ),
    "a monitor of nothing": (
        {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
        "metrics.serviceMonitor.enabled needs a Service",
        "metrics.service.enabled=true",
    ),
    "runs in a folder": (
        {"profiles": {"gold": {"store": {"url": "file:///runs"}}}},
        "profiles.gold.store.url is file:///runs",
        "set it to s3://bucket/prefix",
    ),
    "an account that nobody names": (
        {"serviceAccount": {"create": False}},
        "would go to `default`",
        "serviceAccount.create=false needs serviceAccount.name",
    ),
    "a budget that keeps the one replica": (
        {"controller": {"replicas": 1, "podDisruptionBudget": {"enabled": True}}},
        "controller.podDisruptionBudget.minAvailable=1 keeps all of controller.replicas=1",
        "replicas higher",
    ),
    "a budget that keeps both": (
        {"controller": {"podDisruptionBudget": {"enabled": True, "minAvailable": 2}}},
        "minAvailable=2 keeps all",
        "minAvailable lower",
    ),
    "a share that is rounded up to both": (
        {"controller": {"podDisruptionBudget": {"enabled": True, "minAvailable": "51%"}}},
        "minAvailable=51% keeps all",
        "minAvailable lower",
    ),
    "jobs' policy nowhere": (
        {"networkPolicy": {"jobs": {"enabled": True}}},
        "needs to know the namespaces",
        "networkPolicy.jobs.namespaces",
    ),
}


@pytest.mark.parametrize(("values", "why", "remedy"), TOGETHER.values(), ids=TOGETHER)
def test_values_that_cannot_work_together_are_refused_with_a_remedy(values, why, remedy):
    printed = refusal(values)
    assert why in printed
    assert remedy in printed


def test_every_value_of_the_schema_is_described():
    def walk(schema, path=""):
        for name, field in schema.get("properties", {}).items():
            yield f"{path}.{name}", field
            yield from walk(field, f"{path}.{name}")

    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    fields = dict(walk(schema))
    assert len(fields) > 100
    assert [path for path, field in fields.items() if not field.get("description")] == []
    profiles = [part for name, part in schema["$defs"].items() if "JsonValue" not in name]
    assert [
        name
        for part in profiles
        for name, field in part["properties"].items()
        if not field.get("description")
    ] == []


def test_every_object_refuses_what_it_does_not_know_but_for_those_that_are_kubernetes_own():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def free(part, path=""):
        if part.get("additionalProperties", False) is True:
            yield path.lstrip(".")
        for name, field in part.get("properties", {}).items():
            yield from free(field, f"{path}.{name}")

    assert set(free(schema)) == {
        "global",
        "controller.resources",
        "controller.podSecurityContext",
        "controller.podSecurityContext.seccompProfile",
        "controller.securityContext",
        "controller.securityContext.capabilities",
        "controller.affinity",
        "tryout.s3.resources",
        "tryout.teacher.resources",
    }
    assert all(
        part["additionalProperties"] is False
        for name, part in schema["$defs"].items()
        if "properties" in part
    ), "a model lets fields through"


@pytest.mark.parametrize("part", ["tests", "controller", "images", "tryout", "rbac"])
def test_a_part_that_is_taken_away_is_refused_by_name(part):
    assert f"missing property '{part}'" in refusal({part: None})


def test_what_is_kubernetes_own_may_be_taken_away():
    values = {
        "controller": {
            "resources": {"limits": None},
            "podSecurityContext": {"runAsUser": None},
            "topologySpreadConstraints": None,
        }
    }
    [container] = objects(values)["Deployment", "tunesmith-controller"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert "limits" not in container["resources"]


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory):
    """A chart that has this one as a dependency, with a condition, and values for all of its charts."""
    folder = tmp_path_factory.mktemp("umbrella")
    shutil.copytree(CHART, folder / "charts" / "tunesmith")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"]
    dependency = {"name": "tunesmith", "version": version, "condition": "tunesmith.enabled"}
    (folder / "Chart.yaml").write_text(
        json.dumps({"apiVersion": "v2", "name": "all", "version": "1.0.0", "dependencies": [dependency]})
    )
    values = {
        "global": {
            "imageRegistry": "mirror.example.com",
            "imagePullSecrets": ["login"],
            "storageClass": "fast",
        }
    }
    (folder / "values.yaml").write_text(json.dumps(values | {"tunesmith": {"enabled": True}}))
    return folder


def test_the_chart_can_be_a_dependency_of_another(umbrella):
    done = helm("template", RELEASE, str(umbrella), "--kube-version", "1.36.0")
    assert done.returncode == 0, done.stderr
    assert "image: mirror.example.com/tunesmith-controller" in done.stdout
    off = helm(
        "template", RELEASE, str(umbrella), "--kube-version", "1.36.0", "--set", "tunesmith.enabled=false"
    )
    assert (off.returncode, off.stdout.strip()) == (0, "")


def test_a_value_that_nobody_knows_is_refused_in_a_dependency_too(umbrella):
    done = helm(
        "template",
        RELEASE,
        str(umbrella),
        "--kube-version",
        "1.36.0",
        "--set",
        "tunesmith.controler.replicas=1",
    )
    assert "additional properties 'controler' not allowed" in done.stderr


def test_every_value_is_used():
    templates = "".join(
        path.read_text(encoding="utf-8") for path in (CHART / "templates").rglob("*") if path.is_file()
    )
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def leaves(part, path=()):
        for name, value in part.items():
            yield (*path, name)
            if isinstance(value, dict):
                yield from leaves(value, (*path, name))

    whole = {"podSecurityContext", "securityContext", "resources", "labels"}  # handed on as they are
    names = {path[-1] for path in leaves(values) if not whole & set(path[:-1])} - {
        "controller",
        "generate",
        "train",
        "merge",
        "tryout",
    }
    assert len(names) > 50
    assert sorted(name for name in names if f".{name}" not in templates) == []


# the tryout's profile


def tryout_profile(values):
    return parse_config(read_documents(config(values))[0], "").profiles["default"]


def test_the_tryout_brings_a_profile_whose_names_exist_in_the_cluster():
    rendered = objects(TRYOUT)
    profile = tryout_profile(TRYOUT)
    assert profile.store.url == "s3://tunesmith/runs"
    assert profile.store.endpoint == "http://tunesmith-tryout-s3.tunesmith.svc:8333"
    assert ("Service", "tunesmith-tryout-s3") in rendered
    assert profile.defaults["data"]["teacher"] == {
        "model": "scripted",
        "baseURL": "http://tunesmith-tryout-teacher.tunesmith.svc:8080/v1",
    }
    assert ("Service", "tunesmith-tryout-teacher") in rendered
    assert ("Secret", f"default/{profile.store.secret}") in rendered
    assert profile.teacher_secret.key in rendered["Secret", f"default/{profile.teacher_secret.name}"]["data"]
    assert profile.models == {"models/SmolLM2-135M-Instruct": "s3://tunesmith/models/SmolLM2-135M-Instruct"}
    assert profile.defaults["training"] == {"device": "cpu"}
    assert profile.defaults["stages"]["train"]["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_the_server_and_every_namespace_have_the_same_keys():
    rendered = objects({"tryout": {"enabled": True, "namespaces": ["team-a", "team-b", "tunesmith"]}})
    keys = {
        name: document["data"]
        for (kind, name), document in rendered.items()
        if kind == "Secret" and name.endswith("-store")
    }
    assert set(keys) == {
        "tunesmith-tryout-store",
        "team-a/tunesmith-tryout-store",
        "team-b/tunesmith-tryout-store",
    }
    assert len({str(data) for data in keys.values()}) == 1
    [container] = rendered["Deployment", "tunesmith-tryout-s3"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "tunesmith-tryout-store"}}]


def test_without_gpus_none_is_asked_for():
    assert "stages" not in tryout_profile({"tryout": {"enabled": True, "gpu": 0}}).defaults


def test_values_of_ones_own_go_on_top_of_the_tryouts_profile():
    profile = tryout_profile(
        {
            **TRYOUT,
            "profiles": {"default": {"limits": {"requests": 2}, "defaults": {"training": {"maxSteps": 3}}}},
        }
    )
    assert (profile.limits.requests, profile.store.url) == (2, "s3://tunesmith/runs")
    assert profile.defaults["training"] == {"device": "cpu", "maxSteps": 3}


def test_other_profiles_stay_beside_the_tryouts():
    assert set(
        parse_config(
            yaml.safe_load(config({**TRYOUT, "profiles": {"gold": {"store": {"url": "s3://b"}}}})), ""
        ).profiles
    ) == {
        "default",
        "gold",
    }


def test_the_bucket_lies_on_the_node_unless_a_claim_is_asked_for():
    def data(volume):
        rendered = objects({"tryout": {"enabled": True, "s3": {"volume": volume}}})
        [entry] = [
            entry
            for entry in rendered["Deployment", "tunesmith-tryout-s3"]["spec"]["template"]["spec"]["volumes"]
            if entry["name"] == "data"
        ]
        return entry, rendered.get(("PersistentVolumeClaim", "tunesmith-tryout-s3"))

    assert data({"size": "3Gi"}) == ({"name": "data", "emptyDir": {"sizeLimit": "3Gi"}}, None)
    entry, claim = data({"persistent": True, "storageClassName": "fast"})
    assert entry["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    assert (claim["spec"]["storageClassName"], claim["spec"]["resources"]["requests"]["storage"]) == (
        "fast",
        "8Gi",
    )


# NOTES


def notes(*arguments):
    done = helm("install", RELEASE, str(CHART), "--namespace", "tunesmith", "--dry-run=client", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def next_steps(*arguments):
    return notes(*arguments).partition("Next:")[2].strip()


def test_notes_of_a_tryout_end_in_three_commands():
    assert [line.strip() for line in next_steps("--set", "tryout.enabled=true").splitlines()] == [
        "helm test tunesmith -n tunesmith",
        "kubectl apply -f examples/quickstart.yaml -n default",
        "kubectl get treq -n default -w",
    ]


REAL = {  # settings -> profile and base model of the request that the notes show
    "the profile named default": ([], "default", "hf://HuggingFaceTB/SmolLM2-135M-Instruct"),
    "with models of its own": (["--set", "profiles.default.models.small=s3://b/small"], "default", "small"),
    "another profile, in a namespace": (
        ["--set", "profiles.gold.store.url=s3://b", "--set", "scope.namespaces={a}"],
        "gold",
        "hf://",
    ),
}


@pytest.mark.parametrize(("arguments", "name", "base"), REAL.values(), ids=REAL)
def test_notes_of_a_real_installation_show_a_request_that_its_profile_takes(arguments, name, base):
    store = [] if name == "gold" else ["--set", "profiles.default.store.url=s3://b"]
    printed = next_steps(*store, *arguments)
    namespace = " -n a" if "scope" in str(arguments) else ""
    assert printed.startswith("helm test tunesmith -n tunesmith\n")
    assert printed.endswith(f"kubectl get treq{namespace} -w")
    command, _, rest = printed.partition("<<'END'\n")
    assert command.splitlines()[-1].strip() == f"kubectl apply{namespace} -f -"
    request = parse(read_documents(rest.partition("\n  END\n")[0])[0])
    assert (request.spec.profile, request.spec.model.base.startswith(base)) == (name, True)
    models = {base: "s3://b/small"} if base == "small" else {}
    assert not_allowed(request, Profile(name=name, models=models)) == []


def test_notes_without_a_profile_show_no_request_that_would_be_refused():
    assert "apply" not in next_steps()


SAID = {
    "that there is no profile": ([], "there is no profile yet"),
    "that the tryout is one": (["--set", "tryout.enabled=true"], "not for production"),
    "that its teacher is simulated": (["--set", "tryout.enabled=true"], "SIMULATED"),
    "what to do without a GPU": (["--set", "tryout.enabled=true"], "--set tryout.gpu=0"),
    "that uninstalling removes requests": (["--set", "crds.keep=false"], "will remove every TrainingRequest"),
    "that the CRD is somebody else's": (["--set", "crds.enabled=false"], "apply the one of this version"),
}


@pytest.mark.parametrize(("arguments", "text"), SAID.values(), ids=SAID)
def test_notes_say(arguments, text):
    assert text in notes(*arguments)
    assert text not in notes("--set", "profiles.default.store.url=s3://b")
