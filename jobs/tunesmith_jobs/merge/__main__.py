import os
import sys

# Blocks are computed in parallel already; more threads within one would only wait for each other.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from tunesmith_jobs.merge.work import work
from tunesmith_jobs.stage import run_stage

if __name__ == "__main__":
    sys.exit(run_stage("merge", work))
