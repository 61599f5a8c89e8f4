"""What `spec.model.base` may say, and where that is.

hf://org/name                      the hub's (HF_ENDPOINT) main branch
hf://org/name@revision             branch, tag, commit, or refs/pr/N
hf://org/name@revision/file.gguf   a GGUF file in it
s3://bucket/prefix                 a folder of safetensors
s3://bucket/prefix/file.gguf
file:///folder, /folder, folder    likewise; a relative path is taken from the current folder
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from tunesmith.errors import BadRequest

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SUFFIX = ".gguf"


@dataclass(frozen=True)
class Place:
    """`root`: repository id, `s3://bucket/prefix`, or absolute folder. `file`: the GGUF file in it, if it is one."""

    kind: Literal["hub", "s3", "folder"]
    root: str
    revision: str = ""
    file: str = ""


def read_uri(uri: str) -> Place:
    """The place that a base model's URI names. Raises BadRequest (BadModelURI)."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        return _folder(uri)
    if scheme == "hf":
        return _hub(uri, rest)
    if scheme == "s3" and rest.strip("/"):
        head, name = _split_file(rest.strip("/"))
        return Place("s3", f"s3://{head}", file=name)
    raise _bad(uri, f"`{scheme}://` is no place for models" if scheme != "s3" else "it names no bucket")


def looks_like_repo(uri: str) -> bool:
    """Whether a path was perhaps meant as a hub repository, `org/name`."""
    return _REPO.fullmatch(uri) is not None


def _hub(uri: str, rest: str) -> Place:
    head, _, tail = rest.partition("@")
    parts = head.strip("/").split("/")
    repo, inner = "/".join(parts[:2]), "/".join(parts[2:])
    if not _REPO.fullmatch(repo):
        raise _bad(uri, "a hub model is hf://organisation/name")
    if tail:
        steps = tail.strip("/").split("/")
        length = 3 if steps[0] == "refs" else 1
        revision, inner = "/".join(steps[:length]), "/".join(steps[length:])
        if inner and not inner.endswith(_SUFFIX):  # a branch with slashes in its name
            revision, inner = tail.strip("/"), ""
        return Place("hub", repo, revision, inner)
    if inner and not inner.endswith(_SUFFIX):
        raise _bad(uri, f"{inner!r} is not a GGUF file; a revision follows an @")
    return Place("hub", repo, "main", inner)


def _folder(uri: str) -> Place:
    if uri.startswith("file:"):
        parts = urlsplit(uri)
        if parts.netloc or not parts.path.startswith("/"):
            raise _bad(uri, "file: needs an absolute path, file:///folder")
        path = unquote(parts.path)
    else:
        path = str(Path(uri).absolute())
    path = os.path.normpath(path)
    if path.endswith(_SUFFIX) and not Path(path).is_dir():
        return Place("folder", str(Path(path).parent), file=Path(path).name)
    return Place("folder", path)


def _split_file(path: str) -> tuple[str, str]:
    if path.endswith(_SUFFIX):
        head, _, name = path.rpartition("/")
        return head, name
    return path, ""


def _bad(uri: str, why: str) -> BadRequest:
    return BadRequest(
        f"not a base model's address: {uri!r}: {why}",
        reason="BadModelURI",
        remedy="give hf://org/name@revision, s3://bucket/prefix or file:///folder, or a .gguf file in one of them",
    )
