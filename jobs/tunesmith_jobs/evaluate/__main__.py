import os
import sys

from tunesmith_jobs import before_torch

os.environ.update(before_torch.missing(os.environ))

from tunesmith_jobs.imports import collector_paused

with collector_paused():
    from tunesmith_jobs.evaluate.compare import evaluate
    from tunesmith_jobs.stage import run_stage

if __name__ == "__main__":
    sys.exit(run_stage("evaluate", evaluate))
