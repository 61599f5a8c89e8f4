"""How near the rows of test and validation are to train, looked at after the split and apart from it. Pure.

The split keeps near-copies together, so this finds none; it fails where the split has not kept what it
promised, and where it could promise little, as for rows of one template, it tells how near they are.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.errors import BadData, Problem
from tunesmith_jobs.generate.dedupe import jaccard
from tunesmith_jobs.generate.overlap import COPIED, Overlaps

# Similarity of prompts from which a row counts as leaked: the built-in value of data.nearDuplicates. The
# split keeps rows together from 0.5 on, so a MinHash that misses a pair there misses none of these.
LEAKED = 0.7
# A shingle that more train rows have is not looked up: it tells no row from another.
LOOKED_UP = 1000
_EXACT = 20  # rows that share most of the others with a text, which it is then compared with as a whole
_SHOWN = 10  # leaked rows named in a message


@dataclass(frozen=True)
class Nearest:
    """A row of test or validation, and the train rows nearest to it, all by number.

    `similarity`: of the prompts; `overlap`: share of its 10-grams that one train row has. The rows are None
    where nothing is shared.
    """

    row: int
    similarity: float
    like: int | None
    overlap: float
    copy_of: int | None


def nearest_rows(
    held_out: Sequence[int],
    train: Sequence[int],
    texts: Sequence[frozenset[str]],
    overlaps: Overlaps,
) -> list[Nearest]:
    """For each row that is held out the train rows nearest to it.

    `texts`: shingles of all rows' prompts, `overlaps`: of all rows, both by number.
    """
    in_train = set(train)
    copied: dict[int, tuple[float, int]] = {}
    for pair, count in overlaps.shared.items():
        for row, other in (pair, pair[::-1]):
            if other in in_train and row not in in_train:
                share = count / overlaps.sizes[row]
                copied[row] = max(copied.get(row, (0.0, other)), (share, other))
    similar = nearest([texts[key] for key in held_out], [texts[key] for key in train])
    return [
        Nearest(row, similarity, None if at is None else train[at], *copied.get(row, (0.0, None)))
        for row, (similarity, at) in zip(held_out, similar, strict=True)
    ]


def nearest(
    texts: Sequence[frozenset[str]], others: Sequence[frozenset[str]]
) -> list[tuple[float, int | None]]:
    """For each text the highest similarity to any of the others, and the number of the first that has it.

    Exact where no shingle is in more than LOOKED_UP of the others, and else nearly so.
    """
    places: dict[str, list[int]] = defaultdict(list)
    wanted = frozenset().union(*texts)
    for key, other in enumerate(others):
        for shingle in other & wanted:
            places[shingle].append(key)
    return [_nearest(text, others, places) for text in texts]


def _nearest(
    text: frozenset[str], others: Sequence[frozenset[str]], places: Mapping[str, list[int]]
) -> tuple[float, int | None]:
    counts: Counter[int] = Counter()
    unseen = 0  # shingles that may be shared, too
    for shingle in text:
        keys = places.get(shingle, ())
        if len(keys) <= LOOKED_UP:
            counts.update(keys)
        else:
            unseen += 1
    if not counts:
        return 0.0, None
    size = len(text)
    found = [(count / (size + len(others[key]) - count), -key) for key, count in counts.items()]
    if unseen:
        found = [(jaccard(text, others[-key]), key) for _, key in heapq.nlargest(_EXACT, found)]
    similarity, key = max(found)
    return similarity, -key


def check(rows: Sequence[Nearest], ids: Sequence[str], prompts: Sequence[str], *, promised: float) -> None:
    """Raise BadData that names the rows that leaked though the split could keep them with their like.

    `promised`: similarity from which the split kept rows together; 1 if it could keep nothing together.
    """
    if promised >= 1:
        return
    least = max(LEAKED, promised)
    problems = []
    for each in rows:
        if each.like is not None and each.similarity >= least:
            problems.append(_problem(ids, prompts, each.row, each.like, f"{each.similarity:.2f} like"))
        elif each.copy_of is not None and each.overlap >= COPIED:
            problems.append(_problem(ids, prompts, each.row, each.copy_of, f"to {each.overlap:.0%} in"))
    if not problems:
        return
    raise BadData(
        f"{len(problems)} of {len(rows)} rows of test and validation are in train, too, or nearly so",
        reason="Leakage",
        problems=problems[:_SHOWN],
        remedy="remove one row of each pair, or lower data.nearDuplicates so that the later one is dropped, "
        "or set another data.split.seed",
    )


def _problem(ids: Sequence[str], prompts: Sequence[str], row: int, other: int, how: str) -> Problem:
    return Problem(
        ids[row], f"is {how} train row {ids[other]}: {_begin(prompts[other])}", _begin(prompts[row])
    )


def _begin(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:59]}…"
