"""What of a request that was read is probably not meant, on this machine or in general. Pure."""

from tunesmith import request_warnings
from tunesmith.errors import Problem
from tunesmith.request import Spec
from tunesmith_cli.local import cluster_fields
from tunesmith_cli.local.request_files import LoadedRequest


def warnings_of(loaded: LoadedRequest, spec: Spec, *, here: bool) -> list[Problem]:
    """The warnings about a request. `spec`: its own, resolved; `here`: it is to run on this machine."""
    found = request_warnings.warnings_of(loaded.request, spec)
    if here and (ignored := cluster_fields.note(loaded.request.spec)):
        found.append(Problem("", ignored))
    return found
