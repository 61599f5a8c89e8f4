"""A line for a limited number of places: namespaces take turns, and in each the oldest goes first.

The next to go is the oldest of the namespace that holds the fewest places. So whoever stands at index `i` of
a namespace that holds `n` places goes at turn `n + i`, and within a turn the oldest goes first: that order is
kept as one sorted list for each namespace, and a change costs no more than a pass over the namespaces.
"""

import heapq
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

Age = tuple[str, str]  # when it was created, as RFC 3339, and its uid: the oldest sorts first


@dataclass
class FairLine:
    """Who holds a place, who waits for one, and who of these may take one now.

    `limit`: places in all; `each`: those that one namespace may hold. 0: no limit.
    """

    limit: int = 0
    each: int = 0
    held: Counter[str] = field(default_factory=Counter)
    """Places held, by namespace."""
    _held: int = 0  # in all
    _waiting: dict[str, list[Age]] = field(default_factory=dict)  # by namespace, the oldest first
    _called: dict[Age, str] = field(default_factory=dict)  # may take a place now, with their namespaces
    _called_of: Counter[str] = field(default_factory=Counter)  # those, by namespace
    _outdated: bool = False  # whether they have to be chosen again
    _told: set[Age] = field(default_factory=set)  # of those who are called, the ones that are no news
    _has_news: bool = False

    @property
    def free(self) -> int | None:
        """Places that nobody holds; None without a limit."""
        return max(0, self.limit - self._held) if self.limit else None

    @property
    def in_use(self) -> int:
        """Places held in all."""
        return self._held

    def hold(self, namespace: str) -> None:
        """Somebody holds a place, who was not called for it."""
        self._count(namespace, 1)
        self._outdated = not self._unlimited

    def release(self, namespace: str) -> None:
        """A place is given back."""
        self._count(namespace, -1)
        self._outdated = not self._unlimited

    def wait(self, namespace: str, age: Age) -> None:
        """Somebody joins the line."""
        insort(self._waiting.setdefault(namespace, []), age)
        if self._unlimited:
            self._call(namespace, age)
        else:
            self._outdated = True

    def leave(self, namespace: str, age: Age) -> None:
        """Somebody leaves the line without a place."""
        self._remove(namespace, age)
        self._outdated = not self._unlimited

    def take(self, namespace: str, age: Age) -> None:
        """Somebody leaves the line and holds a place.

        If it was called for it, all others are called as before: within its namespace those before it stand
        at most at its own turn now, and those behind it at the same as before.
        """
        was_called = not self._outdated and age in self._called
        self._remove(namespace, age)
        self._count(namespace, 1)
        if not was_called:
            self._outdated = True

    def called(self) -> dict[Age, str]:
        """Those who may take a place now, with their namespaces, the first to go first."""
        if self._outdated:
            self._outdated = False
            self._called.clear()
            self._called_of.clear()
            for age, namespace in self._next():
                self._call(namespace, age)
        return self._called

    def news(self) -> list[Age]:
        """Those who have been called since this was asked last."""
        if not self._outdated and not self._has_news:
            return []
        called = self.called()
        self._has_news = False
        new = [age for age in called if age not in self._told]
        self._told = set(called)
        return new

    def called_of(self, namespace: str) -> int:
        """How many of a namespace may take a place now."""
        self.called()
        return self._called_of[namespace]

    def place(self, namespace: str, age: Age) -> int:
        """The place of somebody in the line, from 1, behind those who may take a place now."""
        turn = self.held[namespace] + self._index(namespace, age)
        before = 0
        for other, ages in self._waiting.items():
            index = turn - self.held[other]  # of the one who goes at the same turn
            if index >= 0:
                goes_first = index < len(ages) and ages[index] < age
                before += min(len(ages), index) + goes_first
        called = self.called().items()
        before -= sum((self._turn(other, one), one) < (turn, age) for one, other in called)
        return before + 1

    def order(self) -> list[Age]:
        """All who wait and are not called, the first to go first."""
        called = self.called()
        turns = (
            (self.held[namespace] + index, age)
            for namespace, ages in self._waiting.items()
            for index, age in enumerate(ages)
            if age not in called
        )
        return [age for _, age in sorted(turns)]

    @property
    def _unlimited(self) -> bool:
        return not self.limit and not self.each

    def _next(self) -> Iterator[tuple[Age, str]]:
        """Those who take the free places."""
        free = self.free
        if free == 0:
            return
        heads = [
            (self.held[namespace], ages[0], namespace, 0)
            for namespace, ages in self._waiting.items()
            if ages and not self._is_full(self.held[namespace])
        ]
        heapq.heapify(heads)
        taken = 0
        while heads and (free is None or taken < free):
            turn, age, namespace, index = heads[0]
            yield age, namespace
            taken += 1
            ages = self._waiting[namespace]
            if index + 1 < len(ages) and not self._is_full(turn + 1):
                heapq.heapreplace(heads, (turn + 1, ages[index + 1], namespace, index + 1))
            else:
                heapq.heappop(heads)

    def _is_full(self, held: int) -> bool:
        return bool(self.each) and held >= self.each

    def _turn(self, namespace: str, age: Age) -> int:
        return self.held[namespace] + self._index(namespace, age)

    def _index(self, namespace: str, age: Age) -> int:
        return bisect_left(self._waiting[namespace], age)

    def _call(self, namespace: str, age: Age) -> None:
        self._called[age] = namespace
        self._called_of[namespace] += 1
        self._has_news = True

    def _count(self, namespace: str, change: int) -> None:
        self._held += change
        self.held[namespace] += change
        if not self.held[namespace]:
            del self.held[namespace]

    def _remove(self, namespace: str, age: Age) -> None:
        ages = self._waiting[namespace]
        del ages[self._index(namespace, age)]
        if not ages:
            del self._waiting[namespace]
        self._told.discard(age)
        if self._called.pop(age, None) is not None:
            self._called_of[namespace] -= 1
