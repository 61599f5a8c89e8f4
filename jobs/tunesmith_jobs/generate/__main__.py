import sys

from tunesmith_jobs.generate.work import work
from tunesmith_jobs.stage import run_stage

if __name__ == "__main__":
    sys.exit(run_stage("generate", work))
