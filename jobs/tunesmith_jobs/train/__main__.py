import os
import sys

# Before any library is imported: nothing phones home, nothing draws bars over the machine lines, hashes repeat.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # `deterministic` needs it, and it is read once

from tunesmith_jobs.stage import Stage, run_stage
from tunesmith_jobs.train.recipe import work
from tunesmith_jobs.train.together import Follower

if __name__ == "__main__":
    sys.exit(run_stage("train", work, kind=Follower if int(os.environ.get("RANK", "0")) else Stage))
