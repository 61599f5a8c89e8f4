import os

from tunesmith_jobs import before_torch

os.environ.update(before_torch.missing(os.environ))
os.environ.update(before_torch.missing_for_determinism(os.environ))

from tunesmith_jobs.process import collector_paused, leave

with collector_paused():
    from tunesmith_jobs.attempt import Attempt
    from tunesmith_jobs.stage import run_stage
    from tunesmith_jobs.train.follower import Follower
    from tunesmith_jobs.train.work import work

if __name__ == "__main__":
    follows = int(os.environ.get("RANK", "0")) > 0
    leave(run_stage("train", work, kind=Follower if follows else Attempt))
