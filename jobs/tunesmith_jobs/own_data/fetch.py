"""The bytes of own data: an object in a store, or a file on this machine."""

from pathlib import Path

from tunesmith.errors import BadData, Problem
from tunesmith.settings import Source
from tunesmith_jobs.own_data.reader import PATH
from tunesmith_jobs.storage import SCHEMES, NotFound, read_url


class SourceMismatch(BadData):
    """The content of a source is not what the request names."""

    default_reason = "SourceMismatch"


def fetch(uri: str, version: str = "") -> bytes:
    """All bytes of a source. `version`: of an object in a bucket; empty: the newest.

    Raises BadData if it is not there, and what the store raises.
    """
    if in_store(uri):
        try:
            return read_url(uri, version)
        except NotFound:
            raise _missing(uri, version) from None
    path = Path(uri.removeprefix("file://"))
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _missing(uri) from None
    except OSError as error:
        problem = Problem(f"{PATH}.uri", f"cannot be read: {error.strerror}", uri)
        raise BadData(f"{uri} cannot be read", reason="SourceNotFound", problems=[problem]) from error


def in_store(uri: str) -> bool:
    """Whether a source is an object in a store, and not a file of this machine."""
    scheme, separator, _ = uri.partition("://")
    return bool(separator) and scheme in SCHEMES and scheme != "file"


def check_digest(source: Source, digest: str) -> None:
    """Raises SourceMismatch if the content of a source, by its digest, is not what the request names."""
    if source.sha256 in ("", digest):
        return
    problem = Problem(
        f"{PATH}.sha256",
        f"is not that of {source.uri} as it is now, which is {digest}",
        source.sha256,
        "put the right data there, or name the new digest (`tunesmith run FILE` finds that of a file itself)",
    )
    raise SourceMismatch(f"{source.uri} does not hold what the request names", problems=[problem])


def _missing(uri: str, version: str = "") -> BadData:
    which = f"no such version: {version}" if version else "no such file or object"
    problem = Problem(f"{PATH}.{'version' if version else 'uri'}", which, uri)
    return BadData(f"{uri} is not there", reason="SourceNotFound", problems=[problem])
