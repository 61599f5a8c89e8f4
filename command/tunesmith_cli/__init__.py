"""The command line: `tunesmith`, and `kubectl tunesmith` where kubectl finds it.

`commands` holds what a person types, `local` runs a request as processes on this machine, `cluster` does what
kubectl does for others.
"""

from tunesmith_cli.main import main

__all__ = ["main"]
