"""Work that is done in slices, so that nobody waits long for it. Sans-I/O.

A generator is such work: it yields after each slice, which takes well below a millisecond, and
returns the result. Who runs it decides what comes between two slices.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Work: TypeAlias = Generator[None, None, T]


def finish(work: Work[T]) -> T:
    """Run ``work`` to its end at once. For work that is known to be small. Raises what it does."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result
