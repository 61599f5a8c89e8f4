"""Whether documents on this machine can be read, and are enough: the stages' own reader says so, as a
process.
"""

import json
import subprocess
from dataclasses import dataclass

from tunesmith.errors import Problem
from tunesmith.request import Spec
from tunesmith_cli.local.asked_stages import ask_stages
from tunesmith_cli.local.processes import Toolbox

_SECONDS = 120


@dataclass(frozen=True)
class Looked:
    """What is wrong with documents, and what is probably not meant."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def look_at_documents(spec: Spec, toolbox: Toolbox) -> Looked:
    """The documents of a resolved request.

    Those elsewhere are not looked at; where the libraries of the stages are not installed, or where it takes
    too long, generate finds what is wrong before it spends anything.
    """
    documents = spec.data.documents
    if documents is None or not documents.uri.startswith(("/", "file://")):
        return Looked()
    asked = {"documents": documents.model_dump(by_alias=True), "examples": spec.data.examples}
    try:
        found = ask_stages(toolbox, "check_documents", json.dumps(asked), _SECONDS)
    except subprocess.TimeoutExpired:
        return Looked()
    if found is None:
        return Looked()
    warning = found["warning"]
    return Looked(
        tuple(Problem(path, why, remedy=remedy) for path, why, remedy in found["problems"]),
        (Problem("spec.data.documents", warning),) if warning else (),
    )
