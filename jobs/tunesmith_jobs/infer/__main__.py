import sys

import tunesmith_jobs.before_torch  # noqa: F401 - first, for what it sets
from tunesmith_jobs.infer.command import main

if __name__ == "__main__":
    sys.exit(main())
