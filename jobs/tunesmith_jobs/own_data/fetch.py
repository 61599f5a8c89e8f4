"""The bytes of own data or of documents: files on this machine, objects in a store, or a dataset on the hub.

A folder (or a prefix of a store, with a `/` at its end) gives all its files of a known form, in the order of
their paths; a pattern such as `rows/*.jsonl` gives those that match.
"""

import glob
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.data_files import DOCUMENTS, OWN_DATA, SIGNS, Kind, digest_of, is_pattern
from tunesmith.errors import BadData, Problem
from tunesmith.manifest import Pin
from tunesmith.settings import Documents, Files
from tunesmith_jobs.own_data.hub import SCHEME, read_hub
from tunesmith_jobs.own_data.packing import unpacked
from tunesmith_jobs.own_data.patterns import matches
from tunesmith_jobs.own_data.reader import SourceFile
from tunesmith_jobs.own_data.spoken import Speak, in_request
from tunesmith_jobs.storage import SCHEMES, NotFound, open_parent, read_url

_SHOWN = 8
Named = Sequence[tuple[str, bytes]]


class SourceMismatch(BadData):
    """The content of a source is not what the request names."""

    default_reason = "SourceMismatch"


@dataclass(frozen=True)
class Fetched:
    """The files of a source, unpacked.

    `digest`: sha256 of the bytes as they were stored; of a folder or a pattern that of its files
    (`digest_of`). `size`: in bytes. `commit`: of a dataset on the hub. `notes`: what is not read, and what
    was packed.
    """

    files: tuple[SourceFile, ...]
    digest: str
    size: int
    commit: str = ""
    notes: tuple[str, ...] = field(default=())

    def pin(self, uri: str, state: Mapping[str, str]) -> Pin:
        """What is pinned of a source. `state`: what the store tells its content apart by."""
        commit = {"commit": self.commit} if self.commit else {}
        return Pin(uri=uri, revision=self.digest, size=self.size, detail={**state, **commit})


def kind_of(source: Files) -> Kind:
    """What files are read for."""
    return DOCUMENTS if isinstance(source, Documents) else OWN_DATA


def fetch(source: Files, speak: Speak = in_request, *, commit: str = "") -> Fetched:
    """All files of a source. `commit`: the pinned one of a dataset on the hub.

    Raises BadData for what is not there or cannot be unpacked, and what store and hub raise.
    """
    kind = kind_of(source)
    if not isinstance(source, Documents) and source.uri.lower().startswith(SCHEME):
        commit, files, notes = read_hub(source, speak, commit=commit)
        return _fetched(source.uri, files, notes, commit)
    if in_store(source.uri):
        stored, left = _of_store(source.uri, source.version, kind)
    else:
        stored, left = _of_machine(source.uri, kind)
    return _fetched(source.uri, stored, [_not_read(left)] if left else [])


def in_store(uri: str) -> bool:
    """Whether a source is in a store, and not a file of this machine or on the hub."""
    scheme, separator, _ = uri.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES and scheme.lower() != "file"


def check_digest(source: Files, digest: str) -> None:
    """Raises SourceMismatch if the content of a source, by its digest, is not what the request names."""
    if source.sha256 in ("", digest):
        return
    problem = Problem(
        f"{kind_of(source).path}.sha256",
        f"is not that of {source.uri} as it is now, which is {digest}",
        source.sha256,
        "put the right data there, or name the new digest (`tunesmith run FILE` finds that of a file itself)",
    )
    raise SourceMismatch(f"{source.uri} does not hold what the request names", problems=[problem])


def _fetched(uri: str, stored: Named, notes: Sequence[str], commit: str = "") -> Fetched:
    digests = [hashlib.sha256(data).hexdigest() for _, data in stored]
    alone = [name for name, _ in stored] == [uri]
    files, said = [], list(notes)
    for name, data in stored:
        content, packing = unpacked(data, name)
        files.append(SourceFile(name, content))
        if packing:
            said.append(f"{name} is packed with {packing}")
    digest = digests[0] if alone else digest_of(digests)
    return Fetched(tuple(files), digest, sum(len(data) for _, data in stored), commit, tuple(said))


def _not_read(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"files of no known form, which are not read: {', '.join(names[:_SHOWN])}{rest}"


# On this machine


def _of_machine(uri: str, kind: Kind) -> tuple[Named, Sequence[str]]:
    path = Path(uri.removeprefix("file://"))
    try:
        if path.is_dir():
            return _of_folder(uri, path, kind)
        if not path.exists() and is_pattern(str(path)):
            found = sorted(name for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207 a pattern with a root
            if not found:
                raise _missing(uri, kind, "no file matches it")
            return [(name, Path(name).read_bytes()) for name in found], ()
        return [(uri, path.read_bytes())], ()
    except FileNotFoundError:
        raise _missing(uri, kind) from None
    except OSError as error:
        problem = Problem(f"{kind.path}.uri", f"cannot be read: {error.strerror}", uri)
        raise BadData(f"{uri} cannot be read", reason="SourceNotFound", problems=[problem]) from error


def _of_folder(uri: str, folder: Path, kind: Kind) -> tuple[Named, Sequence[str]]:
    names = sorted(_visible_files(folder))
    known = [name for name in names if kind.takes(name)]
    if not known:
        raise _missing(uri, kind, f"no file in it has a known ending ({', '.join(kind.endings)})")
    left = [name for name in names if name not in known]
    return [(name, (folder / name).read_bytes()) for name in known], left


def _visible_files(folder: Path) -> Iterator[str]:
    """Names of files below a folder, but for those that begin with a dot, or are in a folder that does."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix()


# In a store


def is_object(uri: str) -> bool:
    """Whether a source in a store is one object, and not a folder or a pattern."""
    return not uri.endswith("/") and not is_pattern(uri)


def _of_store(uri: str, version: str, kind: Kind) -> tuple[Named, Sequence[str]]:
    if is_object(uri):
        try:
            return [(uri, read_url(uri, version))], ()
        except NotFound:
            if version:
                raise _missing(uri, kind, f"no such version: {version}", field="version") from None
            raise _missing(uri, kind, "no such object; the address of a folder ends with /") from None
    head = uri if uri.endswith("/") else uri[: min(uri.find(sign) for sign in SIGNS if sign in uri)]
    store, _ = open_parent(f"{head.rpartition('/')[0]}/x")
    root = f"{head.rpartition('/')[0]}/"
    names = sorted(entry.path for entry in store.list(""))
    if not uri.endswith("/"):
        names = [name for name in names if matches(root + name, uri)]
        if not names:
            raise _missing(uri, kind, "no object matches it")
        return [(name, store.read(name)) for name in names], ()
    known = [name for name in names if kind.takes(name)]
    if not known:
        raise _missing(uri, kind, f"no object below it has a known ending ({', '.join(kind.endings)})")
    return [(name, store.read(name)) for name in known], [name for name in names if name not in known]


def _missing(uri: str, kind: Kind, why: str = "no such file or object", *, field: str = "uri") -> BadData:
    problem = Problem(f"{kind.path}.{field}", why, uri)
    return BadData(f"{uri} is not there", reason="SourceNotFound", problems=[problem])
