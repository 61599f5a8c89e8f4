"""From an accepted dataset to its parts: what belongs together is found, divided, and looked at again."""

from tunesmith import settings
from tunesmith_jobs.generate import meaning
from tunesmith_jobs.generate.clusters import without
from tunesmith_jobs.generate.dataset import Dataset, belongs_with, distinctive
from tunesmith_jobs.generate.dedupe import normalised, shingles
from tunesmith_jobs.generate.duplicates import Level
from tunesmith_jobs.generate.leakage import Nearest, check, nearest_rows
from tunesmith_jobs.generate.overlap import overlaps_of
from tunesmith_jobs.generate.split import Rows, Split, split

# Rows whose meanings are this much less similar than duplicates still stay on one side: the cosine of
# data.semanticDuplicates less this.
LOOSER = 0.05
# Share of the offered rows, dropped though their responses differ, above which it is worth a word
MANY = 0.1
_REMEDIES: dict[Level, str] = {
    "nearDuplicate": "as prompts of one template do, set data.nearDuplicates: 1",
    "semanticDuplicate": "raise data.semanticDuplicates",
}


def divide(dataset: Dataset, shares: settings.Split) -> tuple[Split, list[Nearest]]:
    """The parts, and the train rows nearest to each row of test and validation, in their order.

    Raises BadData that names the rows that are in train, too, though the split could have kept them apart.
    """
    rows = looked_at(dataset)
    parts = split(rows, shares)
    texts = [without(shingles(normalised(text)), parts.template) for text in rows.texts]
    nearest = nearest_rows([*parts.test, *parts.validation], parts.train, texts, rows.overlaps)
    check(
        nearest,
        [row.id for row in dataset.rows],
        [row.prompt for row in dataset.rows],
        promised=parts.threshold,
    )
    return parts, nearest


def looked_at(dataset: Dataset) -> Rows:
    """What the split looks at."""
    prompts = [distinctive(row) for row in dataset.rows]
    whole = [f"{prompt}\n{row.response}" for prompt, row in zip(prompts, dataset.rows, strict=True)]
    semantic = dataset.semantic_duplicates
    return Rows(
        texts=prompts,
        overlaps=overlaps_of(whole),
        marks=[belongs_with(row) for row in dataset.rows],
        topics=[dataset.topics.get(row.id, "") for row in dataset.rows],
        links=meaning.pairs(prompts, semantic - LOOSER) if semantic < 1 else (),
        passages=[row.passage or "" for row in dataset.rows] if dataset.passages else (),
    )


def remarks(dataset: Dataset, parts: Split) -> list[str]:
    """What people should know of the duplicates and of the split, in a sentence each."""
    found = []
    for level, remedy in _REMEDIES.items():
        otherwise = sum(row.level == level and row.answers_otherwise for row in dataset.dropped)
        if otherwise > MANY * dataset.offered:
            found.append(
                f"warning: {otherwise} of {dataset.offered} rows were dropped ({level}) though their "
                f"responses differ; if they ask different things, {remedy}"
            )
    if dataset.passages is not None and (divided := _divided(dataset, parts)):
        found.append(
            f"warning: rows of {divided} passage{'s' * (divided != 1)} are on both sides of the split, as "
            "there are too few passages: give more documents, or ask for fewer examples"
        )
    if parts.threshold >= 1:
        found.append(
            "warning: the rows are all alike, so test rows may be near-copies of train rows; "
            "report.json has the nearest"
        )
    elif parts.template:
        found.append(
            "note: many rows share a template; the split keeps rows together by what differs, "
            f"from a similarity of {parts.threshold} on"
        )
    return found


def _divided(dataset: Dataset, parts: Split) -> int:
    """How many passages have rows in more than one part."""
    of_parts = (parts.train, parts.validation, parts.test)
    sides = [{dataset.rows[key].passage for key in part} for part in of_parts]
    return sum(sum(passage in side for side in sides) > 1 for passage in set().union(*sides) if passage)
