import sys

import tunesmith_jobs.before_torch  # noqa: F401 - first, for what it sets
from tunesmith_jobs.evaluate.compare import evaluate
from tunesmith_jobs.stage import run_stage

if __name__ == "__main__":
    sys.exit(run_stage("evaluate", evaluate))
