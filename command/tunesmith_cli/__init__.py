"""The command line: `tunesmith`, and `kubectl tunesmith` where kubectl finds it.

`commands` holds what a person types, `local` runs a request as processes on this machine, `cluster` does kubectl's part.
"""

from tunesmith_cli.main import main

__all__ = ["main"]
