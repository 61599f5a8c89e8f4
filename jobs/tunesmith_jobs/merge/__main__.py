import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the stage's workers are its threads; numpy reads this when it is imported

from tunesmith_jobs.merge.work import merge
from tunesmith_jobs.stage import run_stage

if __name__ == "__main__":
    sys.exit(run_stage("merge", merge))
