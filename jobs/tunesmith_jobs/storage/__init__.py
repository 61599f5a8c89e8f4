"""Where a run lives: an S3 bucket's prefix or a folder."""

from urllib.parse import unquote

from tunesmith.errors import BadRequest
from tunesmith_jobs.storage.base import Entry, NotFound, Store, Writer

__all__ = ["Entry", "NotFound", "Store", "Writer", "open_store"]


def open_store(url: str) -> Store:
    """The store at `s3://bucket/prefix` or `file:///folder`. Opens no connection. Raises BadRequest for another scheme."""
    scheme, _, rest = url.partition("://")
    if scheme == "file" and rest.startswith("/"):
        from tunesmith_jobs.storage.folder import FolderStore

        return FolderStore(unquote(rest))  # so that a folder may be given as a real URL too, blanks as %20
    if scheme == "s3" and rest:
        from tunesmith_jobs.storage.s3 import S3Store  # boto3 takes 0.3 s to import

        bucket, _, prefix = rest.partition("/")
        return S3Store(bucket, prefix.strip("/"))
    raise BadRequest(f"not a store: {url!r}", remedy="give s3://bucket/prefix or file:///absolute/folder")
