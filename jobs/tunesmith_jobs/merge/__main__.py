import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = (
    "1"  # blocks run side by side already; BLAS threads of their own would only wait for each other
)

from tunesmith_jobs.merge.work import work
from tunesmith_jobs.stage import run_stage

if __name__ == "__main__":
    sys.exit(run_stage("merge", work))
