"""Whether documents on this machine can be read, and are enough: the stages' own reader says so, as a
process.
"""

import json
import os
import subprocess
from dataclasses import dataclass

from tunesmith.errors import Problem
from tunesmith.request import Spec
from tunesmith_cli.local.environment import plain_environment
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
        done = subprocess.run(
            toolbox.module_command("check_documents"),
            input=json.dumps(asked),
            env=plain_environment(os.environ),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Looked()
    if done.returncode:
        return Looked()
    found = json.loads(done.stdout)
    warning = found["warning"]
    return Looked(
        tuple(Problem(path, why, remedy=remedy) for path, why, remedy in found["problems"]),
        (Problem("spec.data.documents", warning),) if warning else (),
    )
