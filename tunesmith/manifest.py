"""What a finished stage leaves in the store: `manifest.json`, written last and at most once per key. Pure.

A stage is done when its manifest is there. The layout of a run, below the store's root:

    <run>/<stage>/<key>/manifest.json          the commit marker, by a conditional put
    <run>/<stage>/<key>/<name>.pins.json       what the stage opened outside; conditional put
    <run>/<stage>/<key>/attempts/<id>/...      the files that the manifest names
    <run>/train/<key>/checkpoints/...          what a restart resumes from; removed on commit
    <run>/merge/<key>/shards/...               shards that an attempt has stored in full; removed on commit
    <run>/generate/journal/...                 every paid answer; kept, and shared by all keys of the run
"""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from tunesmith.plain_text import one_line

MANIFEST = "manifest.json"
PINS = "pins.json"
FORMAT = 1
# A part of a path that is a file name everywhere: no control character, backslash or drive (`C:`), and none
# of the names that stores keep for themselves.
_PART = re.compile(r"(?!\.{1,2}$|\.tunesmith-|[A-Za-z]:)[^\x00-\x1f\x7f-\x9f\\/\ud800-\udfff]{1,255}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_PATH = 1024  # as a key of S3


def inner_path(path: str) -> str:
    """The path itself, if it leads to a file below the folder that it is relative to, on every system.

    Manifests lie in a bucket that others may write to, so nothing in them is joined to a folder unchecked.
    Raises ValueError.
    """
    parts = path.split("/")
    if len(path) > _LONGEST_PATH or not all(_PART.fullmatch(part) for part in parts):
        raise ValueError(f"{path[:200]!r} is not the path of a file below its folder")
    return path


def _name(name: str) -> str:
    if "/" in inner_path(name):
        raise ValueError(f"{name[:200]!r} is not a name")
    return name


Name = Annotated[str, AfterValidator(_name)]  # one part of a path


class _Stored(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    def to_bytes(self) -> bytes:
        """Indented JSON, for people who look into the bucket."""
        return (self.model_dump_json(by_alias=True, indent=1) + "\n").encode()


class File(_Stored):
    """One file of a finished stage. `path` is relative to the attempt's folder, with slashes."""

    path: str
    size: int  # bytes
    sha256: str  # hex


def _listed(file: File) -> File:
    inner_path(file.path)
    if file.size < 0 or not _SHA256.fullmatch(file.sha256):
        raise ValueError(f"{file.path} has no size or sha256 to be checked by")
    return file


ListedFile = Annotated[File, AfterValidator(_listed)]  # as a document in the store names it


class Pin(_Stored):
    """Something outside, in the exact state in which it was first opened."""

    uri: str  # as the request names it
    revision: str  # hub commit, object version, or sha256 of the content
    size: int = 0  # bytes; 0 if the source does not tell
    detail: dict[str, str] = Field(default_factory=dict)


class Manifest(_Stored):
    """A finished stage: the attempt that won, its files, what it opened, and what it reports."""

    format: int = FORMAT
    run: Name
    stage: Name
    key: Name
    attempt: Name
    created: datetime  # UTC
    seconds: float  # from the attempt's start to the commit
    files: tuple[ListedFile, ...]
    inputs: dict[str, str] = Field(default_factory=dict)  # stage name -> key that was read
    pins: dict[str, Pin] = Field(default_factory=dict)  # "base", "source", ...
    metrics: dict[str, float] = Field(default_factory=dict)
    details: dict[str, JsonValue] = Field(default_factory=dict)  # what later stages and reports need to know
    # Versions of tunesmith, Python and the libraries that made the result.
    versions: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_file_for_each_path(self) -> Self:
        clashes = _clashes(file.path for file in self.files)
        if clashes:
            raise ValueError(f"two files cannot both be at {clashes[0]!r}")
        return self

    @property
    def folder(self) -> str:
        """The folder of the winning attempt, which holds all files, relative to the store's root."""
        return f"{stage_folder(self.run, self.stage, self.key)}/attempts/{self.attempt}"

    def file(self, path: str) -> File | None:
        """The entry of a file by its path, or None."""
        return next((file for file in self.files if file.path == path), None)


def _clashes(paths: Iterable[str]) -> list[str]:
    """Paths that another file takes too: the same one, one that differs by case, or one as a folder."""
    folded = [path.casefold() for path in paths]
    twice = [path for path, count in Counter(folded).items() if count > 1]
    folders = {path[:at] for path in folded for at, character in enumerate(path) if character == "/"}
    return [*twice, *(path for path in folded if path in folders)]


def why_unreadable(error: ValidationError) -> str:
    """The first thing that is wrong with a document of the store, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return one_line(f"{where}: {first['msg']}").removeprefix(": ")


def stage_folder(run: str, stage: str, key: str) -> str:
    """`<run>/<stage>/<key>`."""
    return f"{run}/{stage}/{key}"
