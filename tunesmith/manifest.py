"""What a finished stage leaves in the store: `manifest.json`, written last and at most once per key. Pure.

A stage is done when its manifest is there. The layout of a run, below the store's root:

    <run>/<stage>/<key>/manifest.json          the commit marker, by a conditional put
    <run>/<stage>/<key>/<name>.pins.json       what the stage opened outside; conditional put
    <run>/<stage>/<key>/attempts/<id>/...      the files that the manifest names
    <run>/train/<key>/checkpoints/...          what a restart resumes from; removed on commit
    <run>/merge/<key>/shards/...               shards that an attempt has stored in full; removed on commit
    <run>/generate/journal/...                 every paid answer; kept, and shared by all keys of the run
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

MANIFEST = "manifest.json"
PINS = "pins.json"
FORMAT = 1


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


class Pin(_Stored):
    """Something outside, in the exact state in which it was first opened."""

    uri: str  # as the request names it
    revision: str  # hub commit, object version, or sha256 of the content
    size: int = 0  # bytes; 0 if the source does not tell
    detail: dict[str, str] = Field(default_factory=dict)


class Manifest(_Stored):
    """A finished stage: the attempt that won, its files, what it opened, and what it reports."""

    format: int = FORMAT
    run: str
    stage: str
    key: str
    attempt: str
    created: datetime  # UTC
    seconds: float  # from the attempt's start to the commit
    files: tuple[File, ...]
    inputs: dict[str, str] = Field(default_factory=dict)  # stage name -> key that was read
    pins: dict[str, Pin] = Field(default_factory=dict)  # "base", "source", ...
    metrics: dict[str, float] = Field(default_factory=dict)
    details: dict[str, JsonValue] = Field(default_factory=dict)  # what later stages and reports need to know
    # Versions of tunesmith, Python and the libraries that made the result.
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The folder of the winning attempt, which holds all files, relative to the store's root."""
        return f"{stage_folder(self.run, self.stage, self.key)}/attempts/{self.attempt}"

    def file(self, path: str) -> File | None:
        """The entry of a file by its path, or None."""
        return next((file for file in self.files if file.path == path), None)


def stage_folder(run: str, stage: str, key: str) -> str:
    """`<run>/<stage>/<key>`."""
    return f"{run}/{stage}/{key}"
