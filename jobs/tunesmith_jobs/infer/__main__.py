import os

from tunesmith_jobs import before_torch

os.environ.update(before_torch.missing(os.environ))

from tunesmith_jobs.infer.command import main
from tunesmith_jobs.process import leave

if __name__ == "__main__":
    leave(main())
