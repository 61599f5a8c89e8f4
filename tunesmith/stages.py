"""The one table of stages: what each needs, what it reads of a request, and what it makes. Pure data.

Plan, keys, conditions, images, secrets and results all follow from it. CONTRIBUTING.md says what else a new stage needs.
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
    """The part of a stage's result that people fetch.

    `folder`: only the files below it belong to the part, without its name in their paths; empty for all files of the stage.
    `page`: the file that people open, where the part has one.
    """

    name: PartName
    folder: str = ""
    page: str = ""

    @property
    def place(self) -> str:
        """What people are pointed to, relative to the attempt's folder; empty for the folder itself."""
        return self.folder or self.page


@dataclass(frozen=True)
class StageKind:
    """One kind of stage.

    `needs`: the kinds that it directly builds on. Its key follows from their keys, and it may read all that they build on too.
    `fields`: what changes its result, as paths in the spec; a path names a leaf or a whole part.
    `format`: rises when the result changes for the same fields; finished results are then computed anew.
    `image`: the profile's image that it runs in.
    `condition`: the condition of the status that says it is done.
    `part`: what people fetch of its result.
    `reference`: the field by which a request takes this stage's result from another request or run.
    `secrets`: the credentials that it may see, beside those of the store.
    `asked_by`: the field without which a request does not have this stage; empty for a stage that every request has.
    `after_gate`: whether it starts only once the gate is passed.
    """

    name: KindName
    needs: tuple[KindName, ...]
    fields: tuple[str, ...]
    image: Literal["generate", "train", "merge"]
    condition: StageCondition
    format: int = 1
    part: Part | None = None
    reference: str = ""
    secrets: frozenset[Secret] = frozenset()
    asked_by: str = ""
    after_gate: bool = False

    @property
    def asks_teacher(self) -> bool:
        """Whether it sends requests to the teacher, which the controller shares out."""
        return "teacher" in self.secrets


_KINDS = (
    StageKind(
        "generate",
        needs=(),
        fields=("task", "data"),
        image="generate",
        condition="Generated",
        part=Part("dataset"),
        reference="data.from",
        secrets=frozenset({"teacher", "hub"}),
    ),
    StageKind(
        "train",
        needs=("generate",),
        fields=("model.base", "training"),
        image="train",
        condition="Trained",
        part=Part("adapter", folder="adapter"),
        reference="training.from",
        secrets=frozenset({"hub", "trackers"}),
    ),
    StageKind(
        "merge",
        needs=("train",),
        fields=("merge",),
        image="merge",
        condition="Merged",
        part=Part("model", folder="model"),
        secrets=frozenset({"hub"}),
    ),
    StageKind(
        "evaluate",
        needs=("merge",),
        fields=("evaluation",),
        image="train",
        condition="Evaluated",
        part=Part("report", page="report.html"),
        secrets=frozenset({"hub"}),
    ),
    StageKind(
        "deliver",
        needs=("evaluate",),
        fields=("output",),
        image="merge",
        condition="Delivered",
        asked_by="output",
        after_gate=True,
    ),
)

STAGES: Mapping[str, StageKind] = {kind.name: kind for kind in _KINDS}
"""Every kind by its name, in the order in which they run."""

ORDER: tuple[str, ...] = tuple(STAGES)
JUDGED: KindName = "evaluate"
"""The stage whose metrics the gate is judged on."""

PARTS: Mapping[str, tuple[str, Part]] = {
    kind.part.name: (kind.name, kind.part) for kind in _KINDS if kind.part is not None
}
"""Each part by its name, with the stage that makes it."""

FIELDS_READ = tuple(sorted({path.partition(".")[0] for kind in _KINDS for path in kind.fields}))
"""The parts of a spec that some stage reads; an edit of the rest changes nothing that a stage would notice."""
