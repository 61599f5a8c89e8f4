"""Planted near-copies, paraphrases and leaks: what is found, what is lost by mistake, in which time.

    python -m benchmarks.generate.duplicates [--rows 10000]

Prints tables and writes them to duplicates.md next to this file, which says what is planted.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generate.messages import message, near_copy

HERE = Path(__file__).parent
SEED = 7
CHANGES = (1, 2, 3, 4, 6)  # words changed
NEAR = ("1", "2", "3")  # these are near-copies; with more, a row is as much a new one
OFF = 1.0
DROPS = (  # data.nearDuplicates, data.semanticDuplicates
    *((near, OFF) for near in (0.5, 0.6, 0.7, 0.8, 0.9)),
    *((0.7, semantic) for semantic in (0.7, 0.75, 0.8, 0.9)),
)
SPLITS = (
    ("at random", "--split", "1", "--at-random"),
    ("by cluster", "--split", "1"),
    ("by cluster, semanticDuplicates 0.9", "--split", "0.9"),
    ("by cluster, semanticDuplicates 0.8", "--split", "0.8"),
)
HEAD = """# Duplicates and leaks: {rows:,} rows, 10 % near-copies, 5 % paraphrases

{system}. Messages to a support desk, of 4 to 6 of 18 kinds of sentences, about 58 words. Near-copies have
1, 2 or 3 words changed; a third as many again have 4 or 6, where a copy ends. Paraphrases have each sentence
in its other wording, another order, and synonyms (`messages.py`). A copy may come before what it is made of.
Each line is a process of its own.

## What is dropped

`found`: pairs of which one row was dropped for the other, in %. `lost`: rows dropped for a row that they have
nothing to do with, in % of all. `seconds`: of CPU time, for all rows, without loading the model; `MiB`: the
process's largest resident size, rows included.
"""
SPLIT = """
## What the split keeps together

The same rows and 5 % exact copies, {total:,} in all, none dropped, divided 8 : 1 : 1. Pairs on one side, in
%; `nearest`: the highest similarity of a test or validation row to a train row.
"""


@dataclass(frozen=True)
class Planted:
    """A row.

    `kind`: base, exact, paraphrase, or the number of words changed; `origin`: the message it is of.
    """

    text: str
    kind: str
    origin: int


def plant(rows: int, *, exact: bool) -> list[Planted]:
    """Messages, and copies of some, one of each; in an order in which a copy may come first.

    `exact`: with exact copies, too.
    """
    draw = random.Random(SEED)
    base = [message(draw) for _ in range(rows * 82 // 100)]
    planted = [Planted(text, "base", origin) for origin, (text, _) in enumerate(base)]
    kinds = ["1", "2", "3"] * (rows // 30) + ["4", "6"] * (rows // 60) + ["paraphrase"] * (rows // 20)
    kinds += ["exact"] * (rows // 20 if exact else 0)
    for origin, kind in zip(draw.sample(range(len(base)), len(kinds)), kinds, strict=True):
        text, paraphrase = base[origin]
        copies = {"exact": text.upper(), "paraphrase": paraphrase}
        copy = copies[kind] if kind in copies else near_copy(text, int(kind), draw)
        planted.append(Planted(copy, kind, origin))
    draw.shuffle(planted)
    return planted


def drop(rows: int, near: float, semantic: float) -> dict[str, float]:
    """What is dropped: the share found of each kind, and that of rows dropped for one of another origin."""
    from tunesmith_jobs.generate import meaning
    from tunesmith_jobs.generate.duplicates import Duplicates

    planted = plant(rows, exact=False)
    if semantic < OFF:
        meaning.vector("loads the model")
    begun = time.process_time()
    duplicates = Duplicates(near, semantic)
    matches = [duplicates.take(row.text) for row in planted]
    seconds = time.process_time() - begun
    kept = [row for row, match in zip(planted, matches, strict=True) if match is None]
    found, lost = set(), 0
    for row, match in zip(planted, matches, strict=True):
        if match is None:
            continue
        if kept[match.key].origin == row.origin:
            found.add(row.origin)
        else:
            lost += 1
    return {
        **_shares(planted, lambda origin: origin in found),
        "lost": lost / rows,
        "seconds": seconds,
    }


def divided(rows: int, semantic: float, *, at_random: bool) -> dict[str, float]:
    """Which share of the copies is on the side of what they are made of, after a split 8 : 1 : 1."""
    from tunesmith import settings
    from tunesmith_jobs.generate import divide as dividing
    from tunesmith_jobs.generate.dataset import Dataset
    from tunesmith_jobs.rows import Row

    planted = plant(rows, exact=True)
    dataset = Dataset(OFF, semantic)
    dataset.rows = [
        Row(id=str(key), prompt=row.text, response=f"answer {row.origin}") for key, row in enumerate(planted)
    ]
    begun = time.process_time()
    if at_random:
        keys = random.Random(SEED).sample(range(len(planted)), len(planted))
        tenth = len(planted) // 10
        parts = (keys[:tenth], keys[tenth : 2 * tenth], keys[2 * tenth :])
        near = 0.0
    else:
        split, nearest = dividing.divide(dataset, settings.Split(test=0.1, validation=0.1))
        parts = (list(split.test), list(split.validation), list(split.train))
        near = max(each.similarity for each in nearest)
    seconds = time.process_time() - begun
    side = {key: number for number, part in enumerate(parts) for key in part}
    sides: dict[int, set[int]] = {}
    for key, row in enumerate(planted):
        sides.setdefault(row.origin, set()).add(side[key])
    return {
        **_shares(planted, lambda origin: len(sides[origin]) == 1),
        "test": len(parts[0]),
        "validation": len(parts[1]),
        "nearest": near,
        "seconds": seconds,
    }


def _shares(planted: Iterable[Planted], good: Callable[[int], bool]) -> dict[str, float]:
    """Of each kind the share of copies with a good origin; `near`: of all near-copies."""
    copies = [row for row in planted if row.kind != "base"]
    all_of, good_of = (
        Counter(row.kind for row in copies),
        Counter(row.kind for row in copies if good(row.origin)),
    )
    shares = {kind: good_of[kind] / all_of[kind] for kind in all_of}
    return shares | {"near": sum(good_of[kind] for kind in NEAR) / sum(all_of[kind] for kind in NEAR)}


def measured(*arguments: str) -> dict[str, float]:
    """The figures of a run in a process of its own, with its largest resident size in MiB."""
    command = [sys.executable, "-m", "benchmarks.generate.duplicates", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parents[1])
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table; each line is printed as soon as it is measured."""
    rows = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    print("\n".join(rows), flush=True)
    for line in lines:
        rows.append(f"| {' | '.join(line)} |")
        print(rows[-1], flush=True)
    return rows


def percent(share: float, digits: int = 1) -> str:
    """A share in percent."""
    return f"{100 * share:.{digits}f}"


def drop_line(rows: int, near: float, semantic: float) -> tuple[str, ...]:
    """One line of the first table."""
    figures = measured("--rows", str(rows), "--drop", str(near), str(semantic))
    return (
        str(near),
        "off" if semantic == OFF else str(semantic),
        percent(figures["near"]),
        *(percent(figures[str(changes)], 0) for changes in CHANGES),
        percent(figures["paraphrase"]),
        percent(figures["lost"], 2),
        f"{figures['seconds']:.2f}",
        f"{figures['peak']:.0f}",
    )


def split_line(rows: int, name: str, *arguments: str) -> tuple[str, ...]:
    """One line of the second table."""
    figures = measured("--rows", str(rows), *arguments)
    return (
        name,
        percent(figures["exact"]),
        percent(figures["near"]),
        percent(figures["paraphrase"]),
        f"{figures['test']:.0f}, {figures['validation']:.0f}",
        f"{figures['nearest']:.2f}" if figures["nearest"] else "",
        f"{figures['seconds']:.2f}",
        f"{figures['peak']:.0f}",
    )


def page(rows: int) -> list[str]:
    """Both tables, with what they say."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    total = len(plant(rows, exact=True))
    system = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {day}"
    return [
        HEAD.format(rows=rows, system=system),
        *table(
            (
                "nearDuplicates",
                "semanticDuplicates",
                "near-copies found",
                *(f"{changes} words" for changes in CHANGES),
                "paraphrases found",
                "lost",
                "seconds",
                "MiB",
            ),
            (drop_line(rows, near, semantic) for near, semantic in DROPS),
        ),
        SPLIT.format(total=total),
        *table(
            (
                "split",
                "exact copies",
                "near-copies",
                "paraphrases",
                "test, validation",
                "nearest",
                "seconds",
                "MiB",
            ),
            (split_line(rows, name, *arguments) for name, *arguments in SPLITS),
        ),
    ]


def main() -> None:
    """Run all cases, print and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--drop", nargs=2, type=float, help=argparse.SUPPRESS)
    parser.add_argument("--split", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--at-random", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drop or arguments.split:
        if arguments.drop:
            figures = drop(arguments.rows, *arguments.drop)
        else:
            figures = divided(arguments.rows, arguments.split, at_random=arguments.at_random)
        figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(figures))
        return
    (HERE / "duplicates.md").write_text("\n".join(page(arguments.rows)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
