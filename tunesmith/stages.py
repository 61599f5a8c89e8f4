"""The one table of stages: what each of them needs, what it reads of a request, and what it makes. Pure.

The plan, keys, conditions, images, secrets and results all follow from it. CONTRIBUTING.md says what else a
new stage needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

KindName = Literal["generate", "train", "merge", "evaluate", "deliver"]
StageCondition = Literal["Generated", "Trained", "Merged", "Evaluated", "Delivered"]
PartName = Literal["dataset", "adapter", "model", "report"]
Secret = Literal["teacher", "hub", "trackers"]


@dataclass(frozen=True)
class Part:
    """The part of a stage's result that people fetch."""

    name: PartName
    folder: str = ""
    """Only the files below this folder belong to the part, and its name is left out of their paths. Empty:
    all files.
    """
    page: str = ""
    """The file that people open, where the part has one."""

    @property
    def place(self) -> str:
        """Where to look, relative to the attempt's folder; empty for the folder itself."""
        return self.folder or self.page


@dataclass(frozen=True, kw_only=True)
class StageKind:
    """One kind of stage."""

    name: KindName
    needs: tuple[KindName, ...]
    """The kinds that it directly builds on. Its key follows from theirs, and it may read all that they build
    on.
    """
    fields: tuple[str, ...]
    """What changes its result, as paths in the spec. A path names a leaf or a whole part."""
    format: int = 1
    """It rises when the result changes though the fields do not. Finished results are then computed again."""
    image: Literal["generate", "train", "merge"]
    """The image of the profile that it runs in."""
    condition: StageCondition
    """The condition of the status that says whether it is done."""
    part: Part | None = None
    """What people fetch of its result."""
    reference: str = ""
    """The field by which a request takes this stage's result from another request or run."""
    secrets: frozenset[Secret] = frozenset()
    """The credentials that it may see, in addition to those of the store."""
    asked_by: str = ""
    """The field of the spec without which a request does not have this stage. Empty: every request has it."""

    @property
    def asks_teacher(self) -> bool:
        """Whether it sends requests to the teacher, which the controller shares out."""
        return "teacher" in self.secrets


_KINDS = (
    StageKind(
        name="generate",
        needs=(),
        fields=("task", "data", "evaluation.format"),
        image="generate",
        condition="Generated",
        part=Part("dataset"),
        reference="data.from",
        secrets=frozenset({"teacher", "hub"}),
    ),
    StageKind(
        name="train",
        needs=("generate",),
        fields=("model.base", "training"),
        image="train",
        condition="Trained",
        part=Part("adapter", folder="adapter"),
        reference="training.from",
        secrets=frozenset({"hub", "trackers"}),
    ),
    StageKind(
        name="merge",
        needs=("train",),
        fields=("merge",),
        image="merge",
        condition="Merged",
        part=Part("model", folder="model"),
        secrets=frozenset({"hub"}),
    ),
    StageKind(
        name="evaluate",
        needs=("merge",),
        fields=("evaluation",),
        image="train",
        condition="Evaluated",
        part=Part("report", page="report.html"),
        secrets=frozenset({"hub"}),
    ),
    StageKind(
        name="deliver",
        needs=("evaluate",),
        fields=("output",),
        image="merge",
        condition="Delivered",
        asked_by="output",
    ),
)

STAGES: Mapping[str, StageKind] = {kind.name: kind for kind in _KINDS}
"""Every kind by its name, in the order in which they run."""

ORDER: tuple[str, ...] = tuple(STAGES)
JUDGED: KindName = "evaluate"
"""The stage whose metrics the gate is judged on."""


def _building_on(name: str) -> frozenset[str]:
    """Every kind that builds on one, directly or through others."""
    later: set[str] = set()
    for kind in _KINDS:
        if later.union({name}).intersection(kind.needs):
            later.add(kind.name)
    return frozenset(later)


AFTER_GATE = _building_on(JUDGED)
"""The kinds that start only when the gate is passed."""

PARTS: Mapping[str, tuple[str, Part]] = {
    kind.part.name: (kind.name, kind.part) for kind in _KINDS if kind.part is not None
}
"""Each part by its name, with the stage that makes it."""

FIELDS_READ = tuple(sorted({path.partition(".")[0] for kind in _KINDS for path in kind.fields}))
"""The parts of a spec that some stage reads; an edit of the rest changes nothing that a stage
would notice.
"""
