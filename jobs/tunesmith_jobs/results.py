"""The files that people fetch of a finished run, part by part: dataset, adapter, model, report. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.manifest import File, Manifest
from tunesmith.stages import JUDGED, PARTS

_CARD = "README.md"


@dataclass(frozen=True)
class Item:
    """A file of a part. `path` is relative to the part; `file` is the entry in the manifest."""

    path: str
    manifest: Manifest
    file: File

    @property
    def source(self) -> str:
        """Its path in the store."""
        return f"{self.manifest.folder}/{self.file.path}"


def items(part: str, manifests: Mapping[str, Manifest]) -> list[Item]:
    """The files of a part, sorted by path; empty if its stage is not done.

    `manifests`: stage name -> manifest.

    The model's card is taken from the evaluation as soon as there is one, because it has the comparison with
    the base.
    """
    stage, description = PARTS[part]
    manifest = manifests.get(stage)
    if manifest is None:
        return []
    prefix = f"{description.folder}/" if description.folder else ""
    files = {
        file.path.removeprefix(prefix): Item(file.path.removeprefix(prefix), manifest, file)
        for file in manifest.files
        if file.path.startswith(prefix)
    }
    judged = manifests.get(JUDGED)
    card = judged.file(_CARD) if judged is not None else None
    if part == "model" and judged is not None and card is not None:
        files[_CARD] = Item(_CARD, judged, card)
    if part == "report":
        files.pop(_CARD, None)  # it is the model's
    return [files[path] for path in sorted(files)]
