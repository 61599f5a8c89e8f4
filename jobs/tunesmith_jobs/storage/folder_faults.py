"""What an error of the operating system means for a store in a folder."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from tunesmith.errors import TryAgain, TunesmithError
from tunesmith_jobs.storage.base import NotFound, StoreAway, StoreRefused, StoreUnusable, UploadDropped

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NOT_A_FOLDER = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EEXIST)


@contextlib.contextmanager
def reading(root: Path, path: str) -> Iterator[None]:
    """Turns errors of a block that reads an object into those of a store."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise NotFound(f"file://{root}/{path}") from error
    except OSError as error:
        raise fault(error, root) from error


@contextlib.contextmanager
def writing(root: Path, path: str) -> Iterator[None]:
    """Turns errors of a block that writes an object into those of a store."""
    try:
        yield
    except FileNotFoundError as error:
        raise UploadDropped(
            f"the upload of file://{root}/{path} was dropped",
            remedy="another attempt finished first, or the folder was removed; run again",
        ) from error
    except OSError as error:
        raise fault(error, root) from error


def fault(error: OSError, root: Path) -> TunesmithError:
    """The error to raise for an operating system's error at the folder `root`."""
    why = error.strerror or str(error)
    if error.errno in _FULL:
        return TryAgain(
            f"the disk of folder {root} is full: {why}",
            reason="DiskFull",
            remedy="free space on it, then run again",
        )
    if error.errno in _NOT_ALLOWED:
        at = f" at {error.filename}" if error.filename else ""
        return StoreRefused(
            f"folder {root} cannot be used{at}: {why}",
            remedy="give yourself the right to write there",
        )
    if error.errno in _NOT_A_FOLDER:
        return StoreUnusable(
            f"folder {root} cannot hold a store: {why}: {error.filename}",
            remedy="use another folder",
        )
    return StoreAway(
        f"folder {root} cannot be reached: {why}",
        remedy="check that its disk is mounted, then run again",
    )
