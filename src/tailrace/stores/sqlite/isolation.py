"""Which changes a commit fails for, when the medium is well. Sans-I/O.

A commit that raises anything but an error of the medium was given something that cannot be
written. The changes of a batch are tried, without being committed: all together, then halves of
what failed. Each part is tried together with everything that has passed before it, so what is
left in the end is known to fit as a whole, and finding k changes among n takes about k · log n
trials.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from tailrace.stores.sqlite.schema import primary_code

# What sqlite3 raises for what it was given, and not for the file or the disk beneath it.
_OF_VALUES: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.NotSupportedError,
)
_CODES_OF_VALUES: Final = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)


def is_of_medium(error: BaseException) -> bool:
    """Whether an error says that the file or its disk fails, and no change can be blamed."""
    if isinstance(error, OSError):
        return True
    if not isinstance(error, sqlite3.Error) or isinstance(error, _OF_VALUES):
        return False
    return primary_code(error) not in _CODES_OF_VALUES


def find_fitting(units: Sequence[str], fits: Callable[[Sequence[str]], bool]) -> list[str]:
    """The most of ``units``, in their order, of which ``fits`` is true together.

    ``fits`` is asked about lists of units that have passed, with some that have not been tried.
    """
    passed: list[str] = []

    def attempt(candidates: Sequence[str]) -> None:
        if not candidates:
            return
        if fits([*passed, *candidates]):
            passed.extend(candidates)
        elif len(candidates) > 1:
            middle = len(candidates) // 2
            attempt(candidates[:middle])
            attempt(candidates[middle:])

    attempt(units)
    return passed
