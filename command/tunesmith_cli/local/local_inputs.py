"""What a request reads of this machine: whether it is there, and what own data and documents hold."""

import errno
import glob
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tunesmith.data_files import DOCUMENTS, OWN_DATA, Kind, digest_of, is_pattern
from tunesmith.errors import Problem
from tunesmith_cli.local.set_option import laid_over

_KINDS = (OWN_DATA, DOCUMENTS)
_FILES = tuple(("data", kind.field, "uri") for kind in _KINDS)  # paths on this machine, not URLs
_BASE = ("model", "base")
_PATHS = (_BASE, *_FILES, ("output",))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[^/]+)?")


def with_inputs(spec: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The spec with absolute paths and with the digests of files on this machine; and what is missing."""
    located = _with_absolute_paths(spec, folder)
    problems = list(_base_problems(_at(located, _BASE), _at(spec, _BASE)))
    for kind in _KINDS:
        files = _at(located, ("data", kind.field))
        if isinstance(files, Mapping):
            digest, wrong = _file_problems(files, kind)
            problems += wrong
            if digest:
                path = ("data", kind.field, "sha256")
                located = laid_over(located, path, digest, ".".join(path))
    return located, problems


def _at(spec: Mapping[str, Any], path: Sequence[str]) -> Any:
    """What stands at a path of a document, which may be wrong in any way."""
    value: Any = spec
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _with_absolute_paths(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    result = dict(spec)
    for path in _PATHS:
        value = _at(spec, path)
        if isinstance(value, str) and value and not _SCHEME.match(value):
            absolute = Path(os.path.normpath(folder / Path(value).expanduser()))
            location = str(absolute) if path in _FILES else absolute.as_uri()
            result = laid_over(result, path, location, ".".join(path))
    return result


def _file_problems(files: Mapping[str, Any], kind: Kind) -> tuple[str, list[Problem]]:
    """The digest of files on this machine, and what is wrong with them; no digest for what is elsewhere.

    `files`: as it stands in a request, with an absolute path.
    """
    uri, wanted = files.get("uri"), files.get("sha256")
    path = _path_of(uri)
    if path is None:
        return "", []
    try:
        found = digest(path, kind)
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
        return "", [Problem(f"{kind.path}.uri", why, uri, "give the path of a file, relative to the request")]
    if wanted and isinstance(wanted, str) and wanted != found:
        why = f"is not that of {uri}, which is {found}"
        remedy = "put the right file there, or correct it; leave it out to take the file as it is"
        return found, [Problem(f"{kind.path}.sha256", why, wanted, remedy)]
    return found, []


def digest(path: Path, kind: Kind = OWN_DATA) -> str:
    """The digest of a file, a folder or the files of a pattern by their content. Raises OSError.

    `kind`: which files of a folder count.
    """
    if not path.exists() and is_pattern(str(path)):
        found = sorted(name for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207 a pattern with a root
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no file matches it")
        return digest_of([_of_file(Path(name)) for name in found])
    if not path.is_dir():
        return _of_file(path)
    names = sorted(_files(path, kind))
    if not names:
        raise FileNotFoundError(errno.ENOENT, f"no file in it ends with {', '.join(kind.endings)}")
    return digest_of([_of_file(path / name) for name in names])


def _base_problems(base: object, written: object) -> Iterator[Problem]:
    """What is wrong with a base model that is a folder or file of this machine.

    `base`: as a `file://` URL; `written`: as the request has it.
    """
    if not isinstance(base, str) or not base.lower().startswith("file://"):
        return
    path = Path(unquote(urlsplit(base).path))
    if path.exists():
        return
    remedy = "give the path of a folder or a .gguf file, relative to the request"
    if isinstance(written, str) and _HUB_NAME.fullmatch(written):
        remedy = f"did you mean hf://{written}, which is a model on the hub? Otherwise {remedy}"
    yield Problem("spec.model.base", f"is not there: {path}", written, remedy)


def _path_of(uri: object) -> Path | None:
    """The path of files on this machine; None for what is elsewhere, and for what is no address."""
    if not isinstance(uri, str) or not uri:
        return None
    scheme, separator, _ = uri.partition("://")
    if separator and scheme != "file":
        return None
    return Path(uri.removeprefix("file://"))


def _files(folder: Path, kind: Kind) -> Iterator[str]:
    """Names of the files that count, relative to the folder, with slashes. Raises OSError."""
    for found, _, names in os.walk(folder, onerror=_raised):
        for name in names:
            relative = (Path(found) / name).relative_to(folder).as_posix()
            if kind.takes(relative):
                yield relative


def _raised(error: OSError) -> None:
    raise error


def _of_file(path: Path) -> str:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(errno.EINVAL, "is no file", str(path))
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
