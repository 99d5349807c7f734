"""Which deleted streams are still needed, because forks read their events. Sans-I/O.

A stream is needed while any stream that is there, deleted or not, has it as an ancestor. A fork
names all its ancestors, so a chain is let go from its young end: what the last fork needed is
erased with it, in the same step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tailrace.model import Offset


class Plan(NamedTuple):
    """What deleting some streams comes to."""

    erased: Sequence[str]
    """Generations that go, those included that only these streams needed."""
    hidden: Sequence[str]
    """Generations that stay for their forks, marked as deleted."""


class Forks:
    """Counts of those that need a stream; memory grows with the forks there are."""

    def __init__(self) -> None:
        self._needed: Counter[str] = Counter()
        self._ancestries: dict[str, tuple[str, ...]] = {}
        self._deleted: set[str] = set()

    def add(self, generation: str, ancestry: Sequence[Offset], *, deleted: bool = False) -> None:
        """A stream is there; of no account unless it is a fork, or deleted and kept."""
        if ancestry:
            needs = tuple(ancestor.generation for ancestor in ancestry)
            self._ancestries[generation] = needs
            self._needed.update(needs)
        if deleted:
            self._deleted.add(generation)

    def is_deleted(self, generation: str) -> bool:
        """Whether it was deleted and is kept for forks."""
        return generation in self._deleted

    def orphans(self) -> list[str]:
        """Those that were deleted and kept for forks that are not there: a crash came between."""
        return [generation for generation in self._deleted if not self._needed[generation]]

    def plan(self, generations: Iterable[str]) -> Plan:
        """What deleting all of these would come to; changes nothing."""
        erased, hidden = dict[str, None](), dict[str, None]()
        released: Counter[str] = Counter()
        waiting = list(generations)
        while waiting:
            gone = waiting.pop()
            if gone in erased:
                continue
            if self._needed[gone] > released[gone]:
                hidden[gone] = None
                continue
            erased[gone] = None
            hidden.pop(gone, None)
            for ancestor in self._ancestries.get(gone, ()):
                released[ancestor] += 1
                if ancestor in hidden or ancestor in self._deleted:
                    waiting.append(ancestor)
        return Plan(list(erased), list(hidden))

    def delete(self, generation: str) -> list[str]:
        """Generations to be erased now: none where the stream is still needed."""
        if self._needed[generation]:
            self._deleted.add(generation)
            return []
        erased: list[str] = []
        waiting = [generation]
        while waiting:
            gone = waiting.pop()
            erased.append(gone)
            self._deleted.discard(gone)
            for ancestor in self._ancestries.pop(gone, ()):
                self._needed[ancestor] -= 1
                if not self._needed[ancestor]:
                    del self._needed[ancestor]
                    if ancestor in self._deleted:
                        waiting.append(ancestor)
        return erased
