"""Checkpoints in the store, below `<run>/train/<key>/checkpoints/`.

Each is a folder `<step>-<writer>/` and a marker `<step>-<writer>.json`. A writer is one process of one
attempt, so that no two ever write the same name. The marker is written last and names every file with size
and sha256; a folder without one is the rest of an interrupted upload.
"""

import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tunesmith.errors import Gone, TryAgain
from tunesmith.manifest import File, ListedFile
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.storage import NotFound

# What is needed to resume. The trainer also saves the tokenizer, a model card and pickled arguments.
_KEPT = re.compile(
    r"adapter_config\.json|.*\.safetensors|optimizer\.pt|scheduler\.pt|scaler\.pt|rng_state.*\.pth"
    r"|trainer_state\.json|notes\.json"
)
_MARKER = re.compile(r"(\d+)-([^/]+)\.json")


class Marker(BaseModel):
    """The files that make a checkpoint whole."""

    model_config = ConfigDict(frozen=True)

    step: int
    writer: str
    files: tuple[ListedFile, ...]


@dataclass(frozen=True, order=True)
class Name:
    """A checkpoint's name; the newest is the largest."""

    step: int
    writer: str

    def __str__(self) -> str:
        return f"{self.step}-{self.writer}"


def names(paths: Iterable[str]) -> list[Name]:
    """The checkpoints whose markers are among these paths (relative to `checkpoints/`), newest first."""
    matches = (_MARKER.fullmatch(path) for path in paths)
    markers = [Name(int(match[1]), match[2]) for match in matches if match is not None]
    return sorted(markers, reverse=True)


class Checkpoints:
    """The checkpoints of one key. `limit`: how many are kept in the store."""

    def __init__(self, attempt: Attempt, limit: int) -> None:
        self._attempt = attempt
        self._store = attempt.store
        self._prefix = f"{attempt.folder}/checkpoints/"
        self._limit = limit
        self._writer = f"{attempt.id}-{secrets.token_hex(2)}"

    def save(self, folder: Path, step: int) -> None:
        """Put the trainer's checkpoint folder into the store, then drop surplus older ones.

        Raises TryAgain, Refused.
        """
        name = Name(step, self._writer)
        kept = [path for path in sorted(folder.iterdir()) if _KEPT.fullmatch(path.name)]
        files = [self._upload(name, path) for path in kept]
        marker = Marker(step=step, writer=self._writer, files=tuple(files))
        self._store.write(f"{self._prefix}{name}.json", marker.model_dump_json(indent=1).encode())
        self._drop_surplus()

    def _upload(self, name: Name, path: Path) -> File:
        stored = self._store.upload(f"{self._prefix}{name}/{path.name}", path)
        return stored.model_copy(update={"path": path.name})

    def save_if_possible(self, folder: Path, step: int) -> bool:
        """Like `save`, but a store that is out of reach is only logged; returns whether it was saved."""
        try:
            self.save(folder, step)
        except TryAgain as error:
            self._attempt.say(
                f"checkpoint of step {step} could not be stored, training continues: {error.message}"
            )
            return False
        return True

    def restore(self, work: Path) -> Path | None:
        """The newest whole checkpoint as a local folder `checkpoint-<step>`, or None.

        Damaged ones are skipped.
        """
        for name in self._names():
            target = work / f"checkpoint-{name.step}"
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            try:
                marker = Marker.model_validate_json(self._store.read(f"{self._prefix}{name}.json"))
                for file in marker.files:
                    self._store.download(f"{self._prefix}{name}/{file.path}", target / file.path, file)
            except (NotFound, Gone, ValueError) as error:
                self._attempt.say(f"checkpoint {name} is incomplete or damaged and is skipped: {error}")
                shutil.rmtree(target)
                continue
            return target
        return None

    def _names(self) -> list[Name]:
        return names(entry.path.removeprefix(self._prefix) for entry in self._store.list(self._prefix))

    def _drop_surplus(self) -> None:
        for name in self._names()[self._limit :]:
            self._store.delete([f"{self._prefix}{name}.json"])  # first, so that no marker names missing files
            self._store.delete([entry.path for entry in self._store.list(f"{self._prefix}{name}/")])
