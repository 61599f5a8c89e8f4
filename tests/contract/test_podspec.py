"""What every pod of a request has: GPUs are asked for alike by the controller's stages and by the pod of
`infer`.
"""

import json

import pytest
from requests_for_tests import document

from tunesmith import plan
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
