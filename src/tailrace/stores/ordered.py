"""Keys in order, of which many can be added and removed. Sans-I/O.

A plain sorted list moves all that lies behind a key; here no more than a block's keys move.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

# Keys of a block, before it is cut in two: for a million keys, a thousand blocks of a thousand.
_MOST: Final = 2048

Key = TypeVar("Key", str, tuple[str, str], tuple[int, str])


class Ordered(Generic[Key]):
    """Distinct keys, ascending."""

    __slots__ = ("_blocks", "_firsts")

    def __init__(self) -> None:
        self._blocks: list[list[Key]] = []
        self._firsts: list[Key] = []
        """Of each block."""

    def add(self, key: Key) -> None:
        """Take in a key that is not there."""
        if not self._blocks:
            self._blocks.append([key])
            self._firsts.append(key)
            return
        at = self._block_of(key)
        block = self._blocks[at]
        insort(block, key)
        self._firsts[at] = block[0]
        if len(block) > _MOST:
            half = len(block) // 2
            self._blocks.insert(at + 1, block[half:])
            self._firsts.insert(at + 1, block[half])
            del block[half:]

    def discard(self, key: Key) -> None:
        """Let a key go, if it is there."""
        if not self._blocks:
            return
        at = self._block_of(key)
        block = self._blocks[at]
        place = bisect_left(block, key)
        if place == len(block) or block[place] != key:
            return
        del block[place]
        if block:
            self._firsts[at] = block[0]
        else:
            del self._blocks[at], self._firsts[at]

    def __len__(self) -> int:
        return sum(map(len, self._blocks))

    def __iter__(self) -> Iterator[Key]:
        for block in self._blocks:
            yield from block

    def since(self, key: Key) -> Iterator[Key]:
        """The keys from ``key`` on, ascending. Nothing may be changed meanwhile."""
        at = self._block_of(key) if self._blocks else 0
        for index in range(at, len(self._blocks)):
            block = self._blocks[index]
            for place in range(bisect_left(block, key), len(block)):
                yield block[place]

    def before(self, key: Key | None) -> Iterator[Key]:
        """The keys below ``key``, or all, descending. Nothing may be changed meanwhile."""
        last = len(self._blocks) - 1
        for at in range(last if key is None or last < 0 else self._block_of(key), -1, -1):
            block = self._blocks[at]
            stop = len(block) if key is None else bisect_left(block, key)
            for place in range(stop - 1, -1, -1):
                yield block[place]

    def _block_of(self, key: Key) -> int:
        return max(0, bisect_right(self._firsts, key) - 1)
