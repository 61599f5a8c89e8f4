"""What every pod of a request has: GPUs are asked for alike by the controller's stages and by the pod of
`infer`.
"""

import json

import pytest
from requests_for_tests import document

from tunesmith import plan
from tunesmith.podspec import NOT_IN_MESH_ANNOTATIONS, NOT_IN_MESH_LABELS
from tunesmith.profile import Profile
from tunesmith.request import parse
from tunesmith_cli.cluster.pod import pod
from tunesmith_cli.cluster.run_data import RunData

PROFILE = Profile.model_validate_json(
    '{"store": {"url": "s3://bucket/runs"}, "images": {"generate": "g", "train": "t"}}'
)
OWNER = {"metadata": {"name": "riddles", "namespace": "team", "uid": "01234567-89ab-cdef-0123-456789abcdef"}}

ASKED = {  # device, evaluate's resources -> of the pod of `infer`
    "nothing is said": ("cuda", {}, {"limits": {"nvidia.com/gpu": "1"}}),
    "a CPU": ("cpu", {}, {}),
    "a slice": (
        "cuda",
        {"limits": {"nvidia.com/mig-1g.10gb": "1"}},
        {"limits": {"nvidia.com/mig-1g.10gb": "1"}},
    ),
    "a share in time": (
        "cuda",
        {"limits": {"nvidia.com/gpu.shared": "1"}},
        {"limits": {"nvidia.com/gpu.shared": "1"}},
    ),
    "another maker's": ("cuda", {"limits": {"amd.com/gpu": "1"}}, {"limits": {"amd.com/gpu": "1"}}),
    "among the requests": (
        "cuda",
        {"requests": {"nvidia.com/gpu": "2", "cpu": "3"}},
        {"requests": {"cpu": "3"}, "limits": {"nvidia.com/gpu": "2"}},
    ),
    "none, said openly": (
        "cuda",
        {"limits": {"nvidia.com/gpu": "0", "memory": "8Gi"}},
        {"limits": {"memory": "8Gi"}},
    ),
}


@pytest.mark.parametrize(("device", "resources", "expected"), ASKED.values(), ids=ASKED)
def test_infer_asks_for_gpus_as_evaluate_does(device, resources, expected):
    wish = parse(document({"training.device": device, "stages.evaluate": {"resources": resources}}))
    snapshot = plan.snapshot(wish, run="riddles-01234567", profile=PROFILE)
    data = RunData(OWNER, snapshot, PROFILE, "s3://bucket/runs/team")
    made = pod("riddles-x", "infer", data, "0" * 64, owned=True)
    assert json.loads(json.dumps(made["spec"]["containers"][0]["resources"])) == expected


def session(purpose, spec, **profile):
    values = Profile.model_validate_json(
        json.dumps(json.loads(PROFILE.model_dump_json(by_alias=True)) | profile)
    )
    snapshot = plan.snapshot(parse(document(spec)), run="riddles-01234567", profile=values)
    return pod(
        "riddles-x", purpose, RunData(OWNER, snapshot, values, "s3://bucket/runs/team"), "0" * 64, owned=True
    )


def test_infer_gets_its_gpu_as_evaluate_does():
    cuda = {"training.device": "cuda"}
    own = {"gpuClaim": {"resourceClaimTemplateName": "one-gpu"}, "schedulerName": "volcano"}
    made = session("infer", cuda, pods={"evaluate": own})["spec"]
    assert made["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    assert made["containers"][0]["resources"] == {"claims": [{"name": "gpu"}]}
    assert made["schedulerName"] == "volcano"
    made = session("infer", cuda, gpuResource="amd.com/gpu")["spec"]
    assert made["containers"][0]["resources"] == {"limits": {"amd.com/gpu": "1"}}


@pytest.mark.parametrize("purpose", ["data", "infer"])
def test_the_pods_of_sessions_keep_meshes_away_as_those_of_stages_do(purpose):
    metadata = session(purpose, {})["metadata"]
    assert NOT_IN_MESH_LABELS.items() <= metadata["labels"].items()
    assert metadata["annotations"] == NOT_IN_MESH_ANNOTATIONS
    joined = {"labels": {"sidecar.istio.io/inject": "true"}}
    metadata = session(purpose, {}, pods={"generate": joined, "evaluate": joined})["metadata"]
    assert metadata["labels"]["sidecar.istio.io/inject"] == "true"
