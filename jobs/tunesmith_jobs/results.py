"""What a finished run holds for people, part by part: dataset, adapter, model, report. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.manifest import File, Manifest
from tunesmith.stages import PARTS

_CARD = "README.md"


@dataclass(frozen=True)
class Item:
    """A file of a part. `path` is relative to the part, `file` the manifest's entry."""

    path: str
    manifest: Manifest
    file: File

    @property
    def source(self) -> str:
        """Where it lies, relative to the store's root."""
        return f"{self.manifest.folder}/{self.file.path}"


def items(part: str, manifests: Mapping[str, Manifest]) -> list[Item]:
    """The files of a part; empty if its stage is not done. `manifests`: stage name -> manifest.

    The model's card is evaluate's, which has the comparison with the base model, as soon as there is one.
    """
    stage, wanted = PARTS[part]
    manifest = manifests.get(stage)
    if manifest is None:
        return []
    below = f"{wanted.folder}/" if wanted.folder else ""
    found = {
        file.path.removeprefix(below): Item(file.path.removeprefix(below), manifest, file)
        for file in manifest.files
        if file.path.startswith(below)
    }
    evaluate = manifests.get("evaluate")
    if part == "model" and evaluate is not None and (card := evaluate.file(_CARD)) is not None:
        found[_CARD] = Item(_CARD, evaluate, card)
    if part == "report":
        found.pop(_CARD, None)
    return [found[path] for path in sorted(found)]
