"""Asks a module of the stages, in a process of its own: the command line has none of their libraries."""

import json
import os
import subprocess
from typing import Any

from tunesmith_cli.local.environment import plain_environment
from tunesmith_cli.local.processes import Toolbox


def ask_stages(toolbox: Toolbox, module: str, text: str, seconds: float) -> Any:
    """What a module makes of a text, read from its JSON; None where the libraries are not installed.

    Raises subprocess.TimeoutExpired.
    """
    done = subprocess.run(
        toolbox.module_command(module),
        input=text,
        env=plain_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return None if done.returncode else json.loads(done.stdout)
