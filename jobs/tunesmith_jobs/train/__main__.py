import os
import sys

import tunesmith_jobs.before_torch  # noqa: F401 - first, for what it sets
from tunesmith_jobs.stage import Stage, run_stage
from tunesmith_jobs.train.recipe import work
from tunesmith_jobs.train.together import Follower

if __name__ == "__main__":
    sys.exit(run_stage("train", work, kind=Follower if int(os.environ.get("RANK", "0")) else Stage))
