import os

from tunesmith_jobs import before_torch

os.environ.update(before_torch.missing(os.environ))

from tunesmith_jobs.process import collector_paused, leave

with collector_paused():
    from tunesmith_jobs.evaluate.work import work
    from tunesmith_jobs.stage import run_stage

if __name__ == "__main__":
    leave(run_stage("evaluate", work))
