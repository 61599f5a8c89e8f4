"""The bytes of own data: an object in a store, or a file on this machine."""

from pathlib import Path

from tunesmith.errors import BadData, Problem
from tunesmith_jobs.own_data.reader import PATH
from tunesmith_jobs.storage import SCHEMES, NotFound, read_url


def fetch(uri: str) -> bytes:
    """All bytes of a source. Raises BadData if it is not there, and what the store raises."""
    scheme, separator, _ = uri.partition("://")
    if separator and scheme in SCHEMES and scheme != "file":
        try:
            return read_url(uri)
        except NotFound:
            raise _missing(uri) from None
    path = Path(uri.removeprefix("file://"))
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _missing(uri) from None
    except OSError as error:
        problem = Problem(f"{PATH}.uri", f"cannot be read: {error.strerror}", uri)
        raise BadData(f"{uri} cannot be read", reason="SourceNotFound", problems=[problem]) from error


def _missing(uri: str) -> BadData:
    problem = Problem(f"{PATH}.uri", "no such file or object", uri)
    return BadData(f"{uri} is not there", reason="SourceNotFound", problems=[problem])
