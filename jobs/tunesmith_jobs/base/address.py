"""What `spec.model.base` may say, and where that is.

Pure, except that a path's own file system is asked for folders.

hf://org/name                      the main branch on the hub (HF_ENDPOINT)
hf://org/name@revision             a branch, a tag, a commit, or refs/pr/N
hf://org/name@revision/file.gguf   a GGUF file in it
s3://bucket/prefix                 a folder of safetensors, in any kind of store
s3://bucket/prefix/file.gguf       a GGUF file in it
file:///folder, /folder, folder    the same on this machine; a relative path is taken from the current folder
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from tunesmith.errors import BadRequest
from tunesmith_jobs.storage import SCHEMES

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SUFFIX = ".gguf"


@dataclass(frozen=True)
class Address:
    """Where a model is.

    `root`: the repository's id, the store's URL, or the absolute folder.
    `revision`: of a repository.
    `file`: the GGUF file in it, if the model is one.
    """

    kind: Literal["hub", "store", "folder"]
    root: str
    revision: str = ""
    file: str = ""


def read_address(uri: str) -> Address:
    """The address in a base model's URI. Raises BadRequest (BadModelURI)."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        return _folder(uri)
    if scheme == "hf":
        return _hub(uri, rest)
    if scheme not in SCHEMES:
        raise _bad(uri, f"there are no models at `{scheme}://`")
    if not rest.strip("/"):
        raise _bad(uri, f"it is not complete: {SCHEMES[scheme].form}")
    root, file = _split_file(rest.strip("/"))
    return Address("store", f"{scheme}://{root}", file=file)


def looks_like_repo(uri: str) -> bool:
    """Whether a path may have been meant as a repository of the hub, `org/name`."""
    return _REPO.fullmatch(uri) is not None


def _hub(uri: str, rest: str) -> Address:
    head, _, tail = rest.partition("@")
    parts = head.strip("/").split("/")
    repo = "/".join(parts[:2])
    file = "/".join(parts[2:])
    if not _REPO.fullmatch(repo):
        raise _bad(uri, "a hub model is hf://organisation/name")
    if tail:
        revision, file = _split_revision(tail.strip("/"))
        return Address("hub", repo, revision, file)
    if file and not file.endswith(_SUFFIX):
        raise _bad(uri, f"{file!r} is not a GGUF file; a revision follows an @")
    return Address("hub", repo, "main", file)


def _split_revision(tail: str) -> tuple[str, str]:
    """The revision and the GGUF file in what follows the @."""
    parts = tail.split("/")
    length = 3 if parts[0] == "refs" else 1
    file = "/".join(parts[length:])
    if file and not file.endswith(_SUFFIX):  # a branch with slashes in its name
        return tail, ""
    return "/".join(parts[:length]), file


def _folder(uri: str) -> Address:
    if uri.startswith("file:"):
        parts = urlsplit(uri)
        if parts.netloc or not parts.path.startswith("/"):
            raise _bad(uri, "file: needs an absolute path, file:///folder")
        path = unquote(parts.path)
    else:
        path = str(Path(uri).absolute())
    path = os.path.normpath(path)
    if path.endswith(_SUFFIX) and not Path(path).is_dir():
        return Address("folder", str(Path(path).parent), file=Path(path).name)
    return Address("folder", path)


def _split_file(path: str) -> tuple[str, str]:
    if path.endswith(_SUFFIX):
        head, _, name = path.rpartition("/")
        return head, name
    return path, ""


def _bad(uri: str, why: str) -> BadRequest:
    forms = ", ".join(scheme.form for scheme in SCHEMES.values())
    return BadRequest(
        f"not a base model's address: {uri!r}: {why}",
        reason="BadModelURI",
        remedy=f"give hf://org/name@revision, {forms}, or a .gguf file in one of them",
    )
