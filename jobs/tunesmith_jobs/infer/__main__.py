import os
import sys

from tunesmith_jobs import before_torch

os.environ.update(before_torch.missing(os.environ))

from tunesmith_jobs.infer.command import main

if __name__ == "__main__":
    sys.exit(main())
