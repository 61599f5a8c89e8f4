import signal
import sys
from typing import NoReturn

from tunesmith.errors import ExitCode
from tunesmith_jobs.runs.command import main


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(ExitCode.STOPPED)  # through the `with` blocks, which remove unfinished files


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())
