"""Whether answers can be checked against `evaluation.format`: the stages' own check says so, as a process."""

import subprocess
from collections.abc import Iterable

from tunesmith.errors import BadRequest, Problem
from tunesmith_cli.local.asked_stages import ask_stages
from tunesmith_cli.local.processes import Toolbox
from tunesmith_cli.local.request_files import LoadedRequest

_SECONDS = 60
_MESSAGE = "the format of the answers cannot be checked"


def format_failures(requests: Iterable[LoadedRequest], toolbox: Toolbox) -> list[tuple[str, BadRequest]]:
    """The forms that answers cannot be checked against, each with the name of its request's file.

    Where the libraries of the stages are not installed, generate finds it before it spends anything.
    """
    found = [(loaded.source, _problems(loaded, toolbox)) for loaded in requests]
    return [(source, BadRequest(_MESSAGE, problems=problems)) for source, problems in found if problems]


def _problems(loaded: LoadedRequest, toolbox: Toolbox) -> list[Problem]:
    wanted = loaded.request.spec.evaluation.format
    if wanted is None:
        return []
    try:
        found = ask_stages(toolbox, "answer_format", wanted.model_dump_json(by_alias=True) + "\n", _SECONDS)
    except subprocess.TimeoutExpired:
        return [Problem("spec.evaluation.format", f"takes more than {_SECONDS} s to read")]
    return [Problem(path, why) for path, why, _ in found or ()]
