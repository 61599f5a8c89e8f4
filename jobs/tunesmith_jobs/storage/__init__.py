"""Where runs live. The one table of stores is here: each kind of store by the scheme of its URLs.

A store of another kind needs its own module with a subclass of `Store`, a row in `SCHEMES`, its scheme in
`tunesmith/wire.py` (`STORE_FORMS`), and its variables in the pods.
`tests/storage/test_store_contract.py` runs for every row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from tunesmith.errors import BadRequest
from tunesmith.wire import STORE_FORMS
from tunesmith_jobs.storage.base import Entry, NotFound, Store, StoreError, Writer

__all__ = [
    "SCHEMES",
    "URL_FORMS",
    "Entry",
    "NotFound",
    "Store",
    "StoreError",
    "Writer",
    "open_parent",
    "open_store",
    "read_url",
]


@dataclass(frozen=True)
class Scheme:
    """One kind of store.

    `form`: how its URLs look, for messages.
    `open`: opens what follows the `://`; raises ValueError for what is not an address of this kind.
    `quoted`: whether its URLs may have special characters quoted, such as a blank as `%20`.
    """

    form: str
    open: Callable[[str], Store]
    quoted: bool = False


def _folder(path: str) -> Store:
    from tunesmith_jobs.storage.folder import FolderStore

    if not path.startswith("/"):
        raise ValueError("not an absolute path")
    return FolderStore(path)


def _s3(address: str) -> Store:
    from tunesmith_jobs.storage.s3 import S3Store  # boto3 takes 0.3 s to import

    bucket, _, prefix = address.partition("/")
    if not bucket:
        raise ValueError("no bucket")
    return S3Store(bucket, prefix.strip("/"))


SCHEMES: Mapping[str, Scheme] = {
    "s3": Scheme(STORE_FORMS["s3"], _s3),
    "file": Scheme(STORE_FORMS["file"], _folder, quoted=True),
}
"""Every kind of store by the scheme of its URLs."""

URL_FORMS = " or ".join(scheme.form for scheme in SCHEMES.values())
"""How the URL of a store looks, for messages and help."""


def open_store(url: str) -> Store:
    """The store at `url`. It is not contacted yet. Raises BadRequest if no kind of store has such URLs."""
    name, separator, address = url.partition("://")
    scheme = SCHEMES.get(name) if separator else None
    if scheme is not None:
        try:
            return scheme.open(unquote(address) if scheme.quoted else address)
        except ValueError:
            pass
    raise BadRequest(f"not a store: {url!r}", remedy=f"give {URL_FORMS}")


def open_parent(url: str) -> tuple[Store, str]:
    """The store that holds the object at `url`, and the object's path in it.

    Raises BadRequest as `open_store` does.
    """
    name, separator, address = url.partition("://")
    parent, _, path = address.rpartition("/")
    store = open_store(f"{name}{separator}{parent or '/'}")
    return store, unquote(path) if SCHEMES[name].quoted else path


def read_url(url: str, version: str = "") -> bytes:
    """All bytes of the object at `url`, or of one of its versions.

    Raises NotFound, and what opening and reading a store raise.
    """
    store, path = open_parent(url)
    return store.read_version(path, version) if version else store.read(path)
