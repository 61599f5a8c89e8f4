import subprocess
import sys

import pytest

from tunesmith_jobs.before_torch import missing, missing_for_determinism, missing_for_hub


@pytest.mark.parametrize(
    ("set_already", "spins"),
    [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, None), ({"OMP_WAIT_POLICY": "active"}, None)],
    ids=["built-in", "set", "another way to say it"],
)
def test_a_waiting_thread_sleeps_soon_unless_somebody_says_otherwise(set_already, spins):
    assert missing(set_already).get("GOMP_SPINCOUNT") == spins


def test_what_is_set_stays_and_the_rest_is_added():
    assert "TRANSFORMERS_VERBOSITY" not in missing({"TRANSFORMERS_VERBOSITY": "info"})
    assert missing({"TRANSFORMERS_VERBOSITY": "info"})["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_the_hubs_client_alone_gets_what_concerns_it():
    assert missing_for_hub({"DO_NOT_TRACK": "1"}) == {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def test_reproducible_training_needs_a_workspace_of_cublas_that_is_not_overruled():
    assert missing_for_determinism({}) == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    assert missing_for_determinism({"CUBLAS_WORKSPACE_CONFIG": ":16:8"}) == {}


@pytest.mark.parametrize("stage", ["train", "evaluate", "infer"])
def test_a_process_that_imports_torch_has_set_what_it_reads_before(stage):
    say = (
        "import os, sys\n"
        "class Torch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch': sys.exit(0 if 'GOMP_SPINCOUNT' in os.environ else 'too late')\n"
        "sys.meta_path.insert(0, Torch())\n"
        f"import tunesmith_jobs.{stage}.__main__\n"
        "import torch\n"
    )
    done = subprocess.run([sys.executable, "-c", say], check=False, env={}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
