import sys

from tunesmith_jobs.serve.command import main

if __name__ == "__main__":
    sys.exit(main())
