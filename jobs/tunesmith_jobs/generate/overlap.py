"""Text that two rows have in common: 10 words in a row, of prompt and response. Pure.

Ten words in a row are how Cosmopedia looks for test text in its training data, and half of a row is from
where it counts as the same; Llama 2 looks for ten tokens, GPT-3 for 8 to 13 words. What more than three rows
have is no copy of a row, but an answer that many share, a template, a phrase: it does not count.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith_jobs.generate.dedupe import ngrams, normalised, words

WORDS = 10
SHARED_MOST = 3  # rows that may have 10 words in common for these to be a copy
COPIED = 0.5  # share of a row's 10-grams from which it is a copy
MOST = 4_000_000  # 10-grams that are looked at; of more, every second, third, ... is, the same in all rows


@dataclass(frozen=True)
class Overlaps:
    """10-grams of rows, by number: how many each has, and how many a pair shares, if any.

    Of a pair the smaller number comes first.
    """

    sizes: Sequence[int]
    shared: Mapping[tuple[int, int], int]

    def copies(self) -> list[tuple[int, int]]:
        """Pairs of which one is a copy of the other."""
        return [
            (one, other)
            for (one, other), count in self.shared.items()
            if count >= COPIED * min(self.sizes[one], self.sizes[other])
        ]


def overlaps_of(texts: Sequence[str]) -> Overlaps:
    """The overlaps of rows, given as prompt and response."""
    every = 1 + sum(text.count(" ") for text in texts) // MOST
    having: dict[int, list[int]] = defaultdict(list)
    sizes = []
    for key, text in enumerate(texts):
        marks = [mark for mark in _marks(text) if mark % every == 0]
        sizes.append(len(marks))
        for mark in marks:
            if len(having[mark]) <= SHARED_MOST:
                having[mark].append(key)
    shared: Counter[tuple[int, int]] = Counter()
    for keys in having.values():
        if 1 < len(keys) <= SHARED_MOST:
            shared.update((one, other) for at, one in enumerate(keys) for other in keys[at + 1 :])
    return Overlaps(sizes, dict(sorted(shared.items())))


def _marks(text: str) -> set[int]:
    """Checksums of the 10-grams: the same everywhere, unlike Python's own hashes."""
    return {
        zlib.crc32(gram.encode("utf-8", "surrogatepass")) for gram in ngrams(words(normalised(text)), WORDS)
    }
