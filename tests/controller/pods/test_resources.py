"""Resources, volumes and placement: the request's and profile's wishes stand, the rest is filled in."""

import pytest

from tests.controller.pods.built_jobs import container_of, pod_of
from tunesmith.quantities import quantity
from tunesmith.stages import ORDER

GIB = 1 << 30

QUANTITIES = {
    "1": 1,
    "500m": 0.5,
    "1.5": 1.5,
    "2k": 2000,
    "1Ki": 1024,
    "4Gi": 4 * GIB,
    "1.5Gi": 1.5 * GIB,
    "1M": 10**6,
    "2Ti": 2 << 40,
}


@pytest.mark.parametrize(("text", "number"), QUANTITIES.items())
def test_a_quantity_is_read_as_kubernetes_reads_it(text, number):
    assert quantity(text) == number


def asking(**resources):
    return {"stages.train": {"resources": resources}}


CASES = {  # stage, spec, profile, bytes of the base model -> resources
    "generate": (
        "generate",
        {},
        {},
        0,
        {"requests": {"cpu": "250m", "memory": "512Mi", "ephemeral-storage": "2304Mi"}},
    ),
    "merge of a model of 16 GiB": (
        "merge",
        {},
        {},
        16 * GIB,
        {"requests": {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "20327Mi"}},
    ),
    "train on a CPU": (
        "train",
        {"training.device": "cpu"},
        {},
        GIB,
        {"requests": {"cpu": "1", "memory": "3584Mi", "ephemeral-storage": "3431Mi"}},
    ),
    "train on a GPU": (
        "train",
        {"training.device": "cuda"},
        {},
        GIB,
        {
            "requests": {"cpu": "1", "memory": "2560Mi", "ephemeral-storage": "3431Mi"},
            "limits": {"nvidia.com/gpu": "1"},
        },
    ),
    "the base lies on a shared cache": (
        "train",
        {"training.device": "cpu"},
        {"cacheClaim": "models"},
        GIB,
        {"requests": {"cpu": "1", "memory": "3584Mi", "ephemeral-storage": "2304Mi"}},
    ),
    "a limit alone is the request too": (
        "train",
        asking(limits={"memory": "1Gi"}),
        {},
        0,
        {"requests": {"cpu": "1", "ephemeral-storage": "2304Mi"}, "limits": {"memory": "1Gi"}},
    ),
    "the request's own; of devices and huge pages Kubernetes takes a limit only": (
        "train",
        asking(
            requests={"cpu": "3", "example.com/nic": "1", "hugepages-2Mi": "4Mi", "example.com/rdma": "2"},
            limits={"cpu": "4", "example.com/rdma": "3"},
        ),
        {},
        0,
        {
            "requests": {"memory": "1536Mi", "ephemeral-storage": "2304Mi", "cpu": "3"},
            "limits": {"cpu": "4", "example.com/nic": "1", "hugepages-2Mi": "4Mi", "example.com/rdma": "3"},
        },
    ),
    "the profile says how large the volume is": (
        "train",
        {},
        {"pods": {"train": {"scratch": {"size": "30Gi"}}}},
        0,
        {"requests": {"cpu": "1", "memory": "1536Mi", "ephemeral-storage": "30976Mi"}},
    ),
    "a volume of its own takes nothing of the node's disk": (
        "train",
        {},
        {"pods": {"train": {"scratch": {"storageClassName": "fast"}}}},
        GIB,
        {"requests": {"cpu": "1", "memory": "2560Mi", "ephemeral-storage": "256Mi"}},
    ),
}


@pytest.mark.parametrize(("stage", "spec", "profile", "base", "expected"), CASES.values(), ids=CASES)
def test_what_is_left_open_is_filled_in_and_nothing_else(job, stage, spec, profile, base, expected):
    assert container_of(job(stage, spec, profile, base_bytes=base))["resources"] == expected


SIZES = {  # stage, profile, bytes of the base model -> the scratch volume
    "ten at least": ("train", {}, 0, {"emptyDir": {"sizeLimit": "10Gi"}}),
    "by the model": ("train", {}, 100 * GIB, {"emptyDir": {"sizeLimit": "112Gi"}}),
    "evaluate has two models": ("evaluate", {}, 100 * GIB, {"emptyDir": {"sizeLimit": "222Gi"}}),
    "of which one may lie on the cache": (
        "evaluate",
        {"cacheClaim": "c"},
        100 * GIB,
        {"emptyDir": {"sizeLimit": "112Gi"}},
    ),
    "generate opens no model": ("generate", {}, 100 * GIB, {"emptyDir": {"sizeLimit": "10Gi"}}),
    "the profile's": (
        "train",
        {"pods": {"train": {"scratch": {"size": "5Gi"}}}},
        100 * GIB,
        {"emptyDir": {"sizeLimit": "5Gi"}},
    ),
    "of a storage class": (
        "train",
        {"pods": {"train": {"scratch": {"storageClassName": "fast"}}}},
        0,
        {
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": "fast",
                        "resources": {"requests": {"storage": "10Gi"}},
                    }
                }
            }
        },
    ),
}


@pytest.mark.parametrize(("stage", "profile", "base", "expected"), SIZES.values(), ids=SIZES)
def test_the_scratch_volume_is_sized_by_the_base_model(job, stage, profile, base, expected):
    volumes = {
        volume.pop("name"): volume for volume in pod_of(job(stage, {}, profile, base_bytes=base))["volumes"]
    }
    assert volumes["scratch"] == expected


MOUNTS = {
    "generate": ["/etc/tunesmith", "/scratch", "/tmp", "/etc/tunesmith-pod", "/cache", "/etc/tunesmith-ca"],
    "train": ["/etc/tunesmith", "/scratch", "/tmp", "/dev/shm", "/cache", "/etc/tunesmith-ca"],
    "merge": ["/etc/tunesmith", "/scratch", "/tmp", "/cache", "/etc/tunesmith-ca"],
    "evaluate": ["/etc/tunesmith", "/scratch", "/tmp", "/cache", "/etc/tunesmith-ca"],
    "deliver": ["/etc/tunesmith", "/scratch", "/tmp", "/etc/tunesmith-ca"],
}


@pytest.mark.parametrize(("stage", "places"), MOUNTS.items(), ids=MOUNTS)
def test_each_stage_mounts_what_it_needs_and_every_volume_is_mounted(job, stage, places):
    assert tuple(MOUNTS) == ORDER
    built = job(
        stage,
        {"output": "s3://b/o"},
        {"cacheClaim": "models", "caBundle": {"name": "corp-ca", "key": "bundle.pem"}},
    )
    mounts = container_of(built)["volumeMounts"]
    assert [mount["mountPath"] for mount in mounts] == places
    assert [mount["name"] for mount in mounts] == [volume["name"] for volume in pod_of(built)["volumes"]]
    volumes = {volume["name"]: volume for volume in pod_of(built)["volumes"]}
    assert volumes["request"]["configMap"] == {
        "name": "riddles-snapshot-00000000",
        "items": [{"key": "request.json", "path": "request.json"}],
    }, "the stage does not need the frozen profile"
    assert volumes["ca"]["configMap"] == {
        "name": "corp-ca",
        "items": [{"key": "bundle.pem", "path": "ca.crt"}],
    }


def test_a_pod_is_placed_as_the_request_says_and_the_profile_allows(job):
    settings = {
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [
            {"key": "gpu", "operator": "Exists"},
            {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 60},
        ],
        "priorityClassName": "high",
    }
    pod = {
        "runtimeClassName": "nvidia",
        "affinity": {"podAntiAffinity": {}},
        "terminationGracePeriodSeconds": 600,
    }
    profile = {
        "pods": {"train": pod},
        "serviceAccountName": "trainer",
        "images": {"train": "t:1", "pullSecrets": ["a", "b"]},
    }
    placed = pod_of(job("train", {"stages.train": settings}, profile))
    expected = (
        settings | pod | {"serviceAccountName": "trainer", "imagePullSecrets": [{"name": "a"}, {"name": "b"}]}
    )
    expected["tolerations"][1]["operator"] = "Equal"
    assert {name: placed[name] for name in expected} == expected
    other = pod_of(job("merge", {"stages.train": settings}, profile))
    assert (
        not {"nodeSelector", "tolerations", "priorityClassName", "runtimeClassName", "affinity"}
        & other.keys()
    )
    assert other["terminationGracePeriodSeconds"] == 180
