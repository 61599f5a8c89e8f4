"""The Job as a whole: names, labels, who may do what, when it is tried again, and which edits concern it."""

import re

import kubernetes_validate
import pytest

from tests.controller.pods.built_jobs import REQUEST, container_of, pod_of, snapshot_map
from tunesmith import podspec
from tunesmith.errors import ExitCode
from tunesmith.podspec import NOT_IN_MESH_ANNOTATIONS, NOT_IN_MESH_LABELS
from tunesmith.profile import GPU_RESOURCE
from tunesmith.stages import ORDER
from tunesmith.wire import STAGE, TEACHER_RATE, TEMPLATE
from tunesmith_controller.decide.pods import build_job, gpus, template_hash
from tunesmith_controller.trim import trim_job

OUTPUT = {"output": "s3://models/riddles"}
EVERYTHING = {
    "store": {
        "url": "s3://bucket/runs",
        "endpoint": "https://s3.example",
        "region": "eu-1",
        "addressingStyle": "path",
        "encryption": "aws:kms",
        "kmsKey": "key-1",
        "secret": "store",
    },
    "images": {"generate": "g:1", "train": "t:1", "merge": "m:1", "pullSecrets": ["registry"]},
    "teacherSecret": {"name": "teacher"},
    "hubSecret": {"name": "hub", "key": "token"},
    "hubEndpoint": "https://hub.example",
    "serviceAccountName": "trainer",
    "pods": {
        stage: {
            "runtimeClassName": "nvidia",
            "scratch": {"size": "40Gi", "storageClassName": "fast"},
            "labels": {"team": "riddles"},
            "annotations": {"example.com/a": "b"},
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
                    }
                }
            },
        }
        for stage in ORDER
    },
    "cacheClaim": "models",
    "caBundle": {"name": "corp-ca"},
    "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3128", "noProxy": ".svc"},
    "env": {"LOG": "1"},
}
PLACED = {
    f"stages.{stage}": {
        "resources": {
            "requests": {"cpu": "2", "memory": "4Gi"},
            "limits": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2"},
        },
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}
        ],
        "priorityClassName": "high",
        "env": {"MINE": "2"},
    }
    for stage in ORDER
}
SHAPES = {
    "the least": (OUTPUT, {}),
    "all there is": (
        OUTPUT | PLACED | {"queueName": "gpus", "training.device": "cuda", "training.reportTo": ["wandb"]},
        EVERYTHING,
    ),
}


@pytest.mark.parametrize(("spec", "profile"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("stage", ORDER)
def test_every_job_is_valid_by_kubernetes_own_schema_without_an_unknown_field(job, stage, spec, profile):
    built = job(stage, spec, profile, base_bytes=16 << 30)
    assert kubernetes_validate.validate(built, "1.37", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**built, "spec": {**built["spec"], "unheard": 1}}, "1.37", strict=True)


@pytest.mark.parametrize(("spec", "profile"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("stage", ORDER)
def test_every_pod_runs_without_root_rights_token_or_a_writable_root(job, stage, spec, profile):
    built = job(stage, spec, profile)
    pod = pod_of(built)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container_of(built)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"], pod["restartPolicy"]) == (
        False,
        False,
        "Never",
    )


def test_a_job_is_its_requests_child_by_a_name_that_every_attempt_has_of_its_own(job):
    first, second = job(attempt=1), job(attempt=2)
    assert first["metadata"]["name"] != second["metadata"]["name"] == job(attempt=2)["metadata"]["name"]
    assert first["metadata"]["namespace"] == "team"
    assert first["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "tunesmith.dev/v1alpha1",
            "kind": "TrainingRequest",
            "name": "riddles",
            "uid": REQUEST["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_job_and_pod_carry_the_labels_that_they_are_found_by(job):
    built = job(
        "merge",
        {"queueName": "gpus"},
        {"pods": {"merge": {"labels": {"team": "a", "tunesmith.dev/stage": "taken over"}}}},
        3,
    )
    ours = {
        "app.kubernetes.io/name": "tunesmith",
        "app.kubernetes.io/component": "merge",
        "app.kubernetes.io/part-of": "tunesmith",
        "app.kubernetes.io/version": "1.2.3",
        "app.kubernetes.io/managed-by": "tunesmith",
        "tunesmith.dev/request": "riddles",
        "tunesmith.dev/stage": "merge",
        "tunesmith.dev/key": snapshot_map({"queueName": "gpus"}).snapshot.key("merge"),
        "tunesmith.dev/attempt": "3",
        "tunesmith.dev/profile": "default",
    }
    assert built["metadata"]["labels"] == ours | {"kueue.x-k8s.io/queue-name": "gpus"}
    assert built["spec"]["template"]["metadata"]["labels"] == (
        ours | {"team": "a"} | dict(NOT_IN_MESH_LABELS)
    )
    assert "suspend" not in built["spec"], "that field is Kueue's"


def test_a_job_tries_again_by_exit_code_and_never_has_two_pods_at_once(job):
    spec = job("train", {"stages.train": {"retries": 5}})["spec"]
    rules = spec.pop("podFailurePolicy")["rules"]
    del spec["template"]
    assert spec == {
        "backoffLimit": 5,
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "Failed",
        "ttlSecondsAfterFinished": 259_200,
    }
    final = [code for code in ExitCode if code.final]
    assert rules == [
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": "stage", "operator": "In", "values": sorted(final)},
        },
        {"action": "Ignore", "onExitCodes": {"containerName": "stage", "operator": "In", "values": [143]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


COMMANDS = {
    "generate": ("generate", "registry/generate:1"),
    "train": ("train", "registry/train:1"),
    "merge": ("merge", "registry/merge:1"),
    "evaluate": ("evaluate", "registry/train:1"),
    "deliver": ("deliver", "registry/merge:1"),
}


@pytest.mark.parametrize(("stage", "expected"), COMMANDS.items(), ids=COMMANDS)
def test_each_stage_runs_its_module_in_its_image_on_its_namespaces_store(job, stage, expected):
    assert tuple(COMMANDS) == ORDER
    container = container_of(job(stage, OUTPUT))
    files = [
        "--request",
        "/etc/tunesmith/request.json",
        "--store",
        "s3://bucket/runs/team",
        "--work",
        "/scratch",
    ]
    assert (container["command"], container["image"]) == (
        ["python", "-m", f"tunesmith_jobs.{expected[0]}", *files],
        expected[1],
    )


GPUS = {  # stage, changes -> GPUs, processes
    "cuda": ("train", {"training.device": "cuda"}, 1, 1),
    "cuda, four": (
        "train",
        {"training.device": "cuda", "stages.train": {"resources": {"limits": {"nvidia.com/gpu": "4"}}}},
        4,
        4,
    ),
    "asked for by the request's requests": (
        "train",
        {"training.device": "cuda", "stages.train": {"resources": {"requests": {"nvidia.com/gpu": "2"}}}},
        2,
        2,
    ),
    "none, said openly": (
        "train",
        {"training.device": "cuda", "stages.train": {"resources": {"limits": {"nvidia.com/gpu": "0"}}}},
        0,
        1,
    ),
    "a slice of one": (
        "train",
        {
            "training.device": "cuda",
            "stages.train": {"resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}},
        },
        1,
        1,
    ),
    "another maker's": (
        "train",
        {"training.device": "cuda", "stages.train": {"resources": {"limits": {"amd.com/gpu": "1"}}}},
        1,
        1,
    ),
    "a share in time": (
        "train",
        {
            "training.device": "cuda",
            "stages.train": {"resources": {"limits": {"nvidia.com/gpu.shared": "1"}}},
        },
        1,
        1,
    ),
    "on a CPU": ("train", {"training.device": "cpu"}, 0, 1),
    "on a CPU, but held": (
        "train",
        {"training.device": "cpu", "stages.train": {"resources": {"limits": {"nvidia.com/gpu": "2"}}}},
        2,
        1,
    ),
    "evaluate": ("evaluate", {"training.device": "cuda"}, 1, 1),
    "evaluate has one process": (
        "evaluate",
        {"training.device": "cuda", "stages.evaluate": {"resources": {"limits": {"nvidia.com/gpu": "2"}}}},
        2,
        1,
    ),
    "generate needs none": ("generate", {"training.device": "cuda"}, 0, 1),
    "merge needs none": ("merge", {"training.device": "cuda"}, 0, 1),
}


@pytest.mark.parametrize(("stage", "spec", "count", "processes"), GPUS.values(), ids=GPUS)
def test_a_stage_asks_for_the_gpus_that_it_uses(job, stage, spec, count, processes):
    built = job(stage, spec)
    assert gpus(built) == count
    command = container_of(built)["command"]
    launcher = ["tunesmith_jobs.train.launch", f"--processes={processes}"]
    assert command[2:4] == (launcher if processes > 1 else [f"tunesmith_jobs.{stage}", "--request"])
    limits = container_of(built)["resources"].get("limits", {})
    assert not any(name.endswith("/gpu") for name in container_of(built)["resources"]["requests"]), (
        "a GPU belongs into limits"
    )
    assert "0" not in limits.values()


BASE = {"training.device": "cuda", "model.base": "hf://org/model@1"}
# Changes of the spec, changes of the profile -> whether the pod of generate or train is another one
EDITS = {
    "nothing": ("train", {}, {}, False),
    "more memory": ("train", {"stages.train": {"resources": {"limits": {"memory": "9Gi"}}}}, {}, True),
    "more memory for another stage": (
        "train",
        {"stages.merge": {"resources": {"limits": {"memory": "9Gi"}}}},
        {},
        False,
    ),
    "suspend": ("train", {"suspend": True}, {}, False),
    "the gate": ("train", {"evaluation.gate": {"leastGain": 1.0}}, {}, False),
    "what the stage reads and no key has": ("train", {"training.device": "cpu"}, {}, True),
    "the teacher's endpoint": ("generate", {"data.teacher.baseURL": "https://other.example/v1"}, {}, True),
    "more tries": ("train", {"stages.train": {"retries": 9}}, {}, False),
    "another image": ("train", {}, {"images": {"train": "registry/train:2"}}, True),
    "another secret": ("train", {}, {"store": {"url": "s3://bucket/runs/", "secret": "store"}}, True),
    "a larger volume": ("train", {}, {"pods": {"train": {"scratch": {"size": "90Gi"}}}}, True),
}


@pytest.mark.parametrize(("stage", "spec", "profile", "other"), EDITS.values(), ids=EDITS)
def test_an_edit_concerns_a_job_if_its_pod_or_stage_would_notice(stage, spec, profile, other):
    before = build_job(REQUEST, stage, 1, snapshot_map(BASE), version="1.2.3")
    edited = snapshot_map(BASE | spec, profile, name="riddles-snapshot-11111111")
    after = build_job(REQUEST, stage, 2, edited, teacher_rate=60, version="1.2.4")
    assert template_hash(before), "there is nothing to compare"
    assert (template_hash(before) != template_hash(after)) is other


def test_the_teachers_rate_is_an_annotation_that_generate_reads_as_a_file(job):
    built = job("generate", teacher_rate=90)
    annotations = built["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {TEACHER_RATE: "90"} | NOT_IN_MESH_ANNOTATIONS
    assert TEACHER_RATE not in job("train", teacher_rate=90)["spec"]["template"]["metadata"]["annotations"]


def test_the_profile_says_whether_a_pod_joins_a_mesh(job):
    pods = {
        "train": {
            "labels": {"sidecar.istio.io/inject": "true"},
            "annotations": {"linkerd.io/inject": "enabled"},
        }
    }
    metadata = job("train", profile={"pods": pods})["spec"]["template"]["metadata"]
    assert metadata["labels"]["sidecar.istio.io/inject"] == "true"
    assert metadata["annotations"]["linkerd.io/inject"] == "enabled"
    assert metadata["annotations"]["consul.hashicorp.com/connect-inject"] == "false", "the others stay away"


@pytest.mark.parametrize(
    "profile", [{}, {"pods": {"train": {"labels": {"sidecar.istio.io/inject": "false"}}}}]
)
def test_what_keeps_meshes_away_makes_no_running_job_outdated(job, profile, monkeypatch):
    now = template_hash(job("train", profile=profile))
    for name in ("NOT_IN_MESH_LABELS", "NOT_IN_MESH_ANNOTATIONS"):  # as in a release without them
        monkeypatch.setattr(podspec, name, {})
    assert template_hash(job("train", profile=profile)) == now


TTLS = {259_200: 259_200, 0: 0, -1: None, 600: 600}


@pytest.mark.parametrize(("profile", "job_has"), TTLS.items())
def test_the_profile_says_how_long_a_job_is_kept(job, profile, job_has):
    built = job("train", profile={"jobTTLSeconds": profile})
    assert built["spec"].get("ttlSecondsAfterFinished") == job_has
    assert template_hash(built) == template_hash(job("train")), "it is nothing that a pod would notice"


def test_the_profile_adds_labels_and_annotations_to_jobs_but_takes_none_of_ours(job):
    more = {
        "jobLabels": {"cost-centre": "ml", STAGE: "mine"},
        "jobAnnotations": {"owner": "x", TEMPLATE: "mine"},
    }
    metadata = job("train", profile={"pods": {"train": more}})["metadata"]
    assert (metadata["labels"]["cost-centre"], metadata["labels"][STAGE]) == ("ml", "train")
    assert metadata["annotations"]["owner"] == "x"
    assert metadata["annotations"][TEMPLATE] == template_hash(job("train")), (
        "they are nothing that a pod notices"
    )


def test_the_profile_names_the_scheduler_of_a_stage(job):
    profile = {"pods": {"train": {"schedulerName": "volcano"}}}
    assert pod_of(job("train", profile=profile))["schedulerName"] == "volcano"
    assert "schedulerName" not in pod_of(job("merge", profile=profile))


# resources of train, the profile -> limits, claims, GPUs that are counted, processes
KINDS = {
    "nothing is said": ({}, {}, {"nvidia.com/gpu": "1"}, None, 1, 1),
    "the profile's kind": ({}, {"gpuResource": "amd.com/gpu"}, {"amd.com/gpu": "1"}, None, 1, 1),
    "several of another maker": ({"amd.com/gpu": "4"}, {}, {"amd.com/gpu": "4"}, None, 4, 4),
    "several of Intel": ({"gpu.intel.com/xe": "2"}, {}, {"gpu.intel.com/xe": "2"}, None, 2, 2),
    "slices": ({"nvidia.com/mig-1g.10gb": "3"}, {}, {"nvidia.com/mig-1g.10gb": "3"}, None, 3, 1),
    "partitions": ({"amd.com/cpx_nps4": "2"}, {}, {"amd.com/cpx_nps4": "2"}, None, 2, 1),
    "shares in time": ({"nvidia.com/gpu.shared": "2"}, {}, {"nvidia.com/gpu.shared": "2"}, None, 2, 1),
    "what only watches a GPU is none": (
        {"gpu.intel.com/i915_monitoring": "1"},
        {},
        {"gpu.intel.com/i915_monitoring": "1", "nvidia.com/gpu": "1"},
        None,
        1,
        1,
    ),
    "by a claim": (
        {},
        {"pods": {"train": {"gpuClaim": {"resourceClaimTemplateName": "one"}}}},
        None,
        "one",
        1,
        1,
    ),
    "by a claim of four": (
        {},
        {"pods": {"train": {"gpuClaim": {"resourceClaimTemplateName": "four", "gpus": 4}}}},
        None,
        "four",
        1,
        4,
    ),
    "an amount of the request's own goes before a claim": (
        {"nvidia.com/gpu": "2"},
        {"pods": {"train": {"gpuClaim": {"resourceClaimTemplateName": "one"}}}},
        {"nvidia.com/gpu": "2"},
        None,
        2,
        2,
    ),
    "and so does none": (
        {"nvidia.com/gpu": "0"},
        {"pods": {"train": {"gpuClaim": {"resourceClaimTemplateName": "one"}}}},
        None,
        None,
        0,
        1,
    ),
}


@pytest.mark.parametrize(
    ("asked", "profile", "limits", "template", "count", "processes"), KINDS.values(), ids=KINDS
)
def test_gpus_of_every_kind_are_asked_for_and_counted_alike(
    job, asked, profile, limits, template, count, processes
):
    spec = {"training.device": "cuda", "stages.train": {"resources": {"limits": asked}}}
    built = job("train", spec, profile)
    container = container_of(built)
    assert container["resources"].get("limits") == limits
    claims = [{"name": "gpu", "resourceClaimTemplateName": template}] if template else None
    assert pod_of(built).get("resourceClaims") == claims
    assert container["resources"].get("claims") == ([{"name": "gpu"}] if template else None)
    assert gpus(built) == gpus(trim_job(built)) == count
    assert (f"--processes={processes}" in container["command"]) == (processes > 1)


def test_a_stage_that_needs_no_gpu_gets_no_claim(job):
    profile = {"pods": {"train": {"gpuClaim": {"resourceClaimTemplateName": "one"}}}}
    assert "resourceClaims" not in pod_of(job("train", {"training.device": "cpu"}, profile))


@pytest.mark.parametrize("name", ["nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/xe", "gpu.intel.com/i915"])
def test_a_profile_can_name_every_whole_gpu(name):
    assert re.match(GPU_RESOURCE, name)
    assert podspec.is_whole_gpu(name)
    assert podspec.is_gpu(name)


@pytest.mark.parametrize("name", ["cpu", "nvidia.com/gpumem", "gpu.intel.com/xe_monitoring"])
def test_a_profile_can_name_nothing_else_as_its_gpu(name):
    assert not re.match(GPU_RESOURCE, name)
    assert not podspec.is_gpu(name)
