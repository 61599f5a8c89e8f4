import subprocess
import sys

import pytest

SHOW = "import os, sys, tunesmith_jobs.before_torch; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"


@pytest.mark.parametrize(
    ("set_already", "spins"),
    [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
    ids=["built-in", "set", "another way to say it"],
)
def test_a_waiting_thread_sleeps_soon_unless_somebody_says_otherwise(set_already, spins):
    done = subprocess.run([sys.executable, "-c", SHOW], env=set_already, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [spins, "False"]


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
