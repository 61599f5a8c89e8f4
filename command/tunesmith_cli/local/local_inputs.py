"""What a request reads of this machine: whether it is there, and what own data holds."""

import errno
import glob
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tunesmith.data_files import digest_of, is_data, is_pattern
from tunesmith.errors import Problem
from tunesmith_cli.local.set_option import laid_over

_SOURCE = ("data", "source", "uri")  # a path on this machine, not a URL
_DIGEST = ("data", "source", "sha256")
_BASE = ("model", "base")
_PATHS = (_BASE, _SOURCE, ("output",))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[^/]+)?")


def with_inputs(spec: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The spec with absolute paths and with the digest of own data on this machine; and what is missing."""
    located = _with_absolute_paths(spec, folder)
    problems = list(_base_problems(_at(located, _BASE), _at(spec, _BASE)))
    source = _at(located, ("data", "source"))
    if isinstance(source, Mapping):
        digest, wrong = _own_data_problems(source)
        problems += wrong
        if digest:
            located = laid_over(located, _DIGEST, digest, ".".join(_DIGEST))
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
            location = str(absolute) if path == _SOURCE else absolute.as_uri()
            result = laid_over(result, path, location, ".".join(path))
    return result


def _own_data_problems(source: Mapping[str, Any]) -> tuple[str, list[Problem]]:
    """The digest of own data on this machine, and what is wrong with it; no digest for data elsewhere.

    `source`: as it stands in a request, with an absolute path.
    """
    uri, wanted = source.get("uri"), source.get("sha256")
    path = _own_data_path(uri)
    if path is None:
        return "", []
    try:
        found = digest(path)
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
        return "", [
            Problem("spec.data.source.uri", why, uri, "give the path of a file, relative to the request")
        ]
    if wanted and isinstance(wanted, str) and wanted != found:
        why = f"is not that of {uri}, which is {found}"
        remedy = "put the right file there, or correct it; leave it out to take the file as it is"
        return found, [Problem("spec.data.source.sha256", why, wanted, remedy)]
    return found, []


def digest(path: Path) -> str:
    """The digest of a file, a folder or the files of a pattern by their content. Raises OSError."""
    if not path.exists() and is_pattern(str(path)):
        found = sorted(name for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207 a pattern with a root
        if not found:
            raise FileNotFoundError(errno.ENOENT, "no file matches it")
        return digest_of([_of_file(Path(name)) for name in found])
    if not path.is_dir():
        return _of_file(path)
    return digest_of([_of_file(path / name) for name in sorted(_files(path))])


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


def _own_data_path(uri: object) -> Path | None:
    """The path of own data on this machine; None for data elsewhere, and for what is no address."""
    if not isinstance(uri, str) or not uri:
        return None
    scheme, separator, _ = uri.partition("://")
    if separator and scheme != "file":
        return None
    return Path(uri.removeprefix("file://"))


def _files(folder: Path) -> Iterator[str]:
    """Names of the files that count, relative to the folder, with slashes. Raises OSError."""
    for found, _, names in os.walk(folder, onerror=_raised):
        for name in names:
            relative = (Path(found) / name).relative_to(folder).as_posix()
            if is_data(relative):
                yield relative


def _raised(error: OSError) -> None:
    raise error


def _of_file(path: Path) -> str:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(errno.EINVAL, "is no file", str(path))
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
