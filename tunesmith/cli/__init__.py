"""The command line: `tunesmith`."""

from tunesmith.cli.main import main

__all__ = ["main"]
