"""Whether answers can be checked against `evaluation.format`: the stages' own check says so, as a process."""

import json
import os
import subprocess
from collections.abc import Iterable

from tunesmith.errors import BadRequest, Problem
from tunesmith_cli.local.environment import plain_environment
from tunesmith_cli.local.invalid import Invalid
from tunesmith_cli.local.processes import Toolbox
from tunesmith_cli.local.request_files import LoadedRequest

_SECONDS = 60
_MESSAGE = "the format of the answers cannot be checked"


def check_formats(requests: Iterable[LoadedRequest], toolbox: Toolbox) -> None:
    """Raises one BadRequest with every form that answers cannot be checked against.

    Where the libraries of the stages are not installed, generate finds it before it spends anything.
    """
    if failures := format_failures(requests, toolbox):
        raise Invalid(failures)


def format_failures(requests: Iterable[LoadedRequest], toolbox: Toolbox) -> list[tuple[str, BadRequest]]:
    """The same, each with the name of its request's file."""
    found = [(loaded.source, _problems(loaded, toolbox)) for loaded in requests]
    return [(source, BadRequest(_MESSAGE, problems=problems)) for source, problems in found if problems]


def _problems(loaded: LoadedRequest, toolbox: Toolbox) -> list[Problem]:
    wanted = loaded.request.spec.evaluation.format
    if wanted is None:
        return []
    try:
        done = subprocess.run(
            toolbox.module_command("answer_format"),
            input=wanted.model_dump_json(by_alias=True) + "\n",
            env=plain_environment(os.environ),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [Problem("spec.evaluation.format", f"takes more than {_SECONDS} s to read")]
    if done.returncode:
        return []
    return [Problem(path, why) for path, why, _ in json.loads(done.stdout)]
