"""The Job as a whole: names, labels, who may do what, when it is tried again, and which edits concern it."""

import kubernetes_validate
import pytest

from tests.controller.pods.built_jobs import REQUEST, container_of, pod_of, snapshot_map
from tunesmith.errors import ExitCode
from tunesmith.stages import ORDER
from tunesmith.wire import TEACHER_RATE
from tunesmith_controller.decide.pods import build_job, gpus, template_hash

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
    assert built["spec"]["template"]["metadata"]["labels"] == ours | {"team": "a"}
    assert "suspend" not in built["spec"], "that field is Kueue's"


def test_a_job_tries_again_by_exit_code_and_never_has_two_pods_at_once(job):
    spec = job("train", {"stages.train": {"retries": 5}})["spec"]
    rules = spec.pop("podFailurePolicy")["rules"]
    del spec["template"]
    assert spec == {"backoffLimit": 5, "completions": 1, "parallelism": 1, "podReplacementPolicy": "Failed"}
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
    assert built["spec"]["template"]["metadata"]["annotations"] == {TEACHER_RATE: "90"}
    assert TEACHER_RATE not in job("train", teacher_rate=90)["spec"]["template"]["metadata"]["annotations"]
