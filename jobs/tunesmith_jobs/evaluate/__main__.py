import os
import sys

# Before any library is imported: nothing phones home, nothing draws bars over the machine lines.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# Threads that wait sleep instead of spinning: on a busy machine answers come several times sooner.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from tunesmith_jobs.evaluate.compare import evaluate
from tunesmith_jobs.stage import run_stage

if __name__ == "__main__":
    sys.exit(run_stage("evaluate", evaluate))
