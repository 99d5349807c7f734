"""Which errors are the medium's, what is said of them, and which change any other is blamed on.

A commit that raises anything but an error of the medium was given something that cannot be
written. The changes of a batch are tried, without being committed: all together, then halves of
what failed. Each part is tried together with everything that has passed before it, so what is
left in the end is known to fit as a whole, and finding k changes among n takes about k · log n
trials.
"""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from tailrace.errors import StoreError, StoreFull, StoreUnavailable
from tailrace.stores.sqlite.schema import primary_code

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
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


def is_full(error: BaseException) -> bool:
    """Whether an error is a want of space."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return primary_code(error) == sqlite3.SQLITE_FULL


def may_want_room(error: BaseException) -> bool:
    """Whether room may help.

    Of a quota or a limit that is reached SQLite says only that it cannot write, of the files
    beside the store's that it cannot open them.
    """
    codes = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    return isinstance(error, OSError) or primary_code(error) in codes


def explain(error: Exception) -> StoreError:
    """What may be said to anyone of an error."""
    if is_full(error):
        return StoreFull("The store's disk is full; writing resumes when there is room.")
    if primary_code(error) == sqlite3.SQLITE_CORRUPT:
        return StoreUnavailable("The store's file is damaged; nothing can be written.")
    if not is_of_medium(error):
        return StoreUnavailable("The store cannot commit, and keeps trying.")
    return StoreUnavailable("The store cannot write to its disk, and keeps trying.")


def fail_waiter(waiter: asyncio.Future[None], failure: StoreError) -> None:
    """Tell one that waits, unless it has left."""
    if not waiter.done():
        waiter.set_exception(copy(failure))


def copy(failure: StoreError) -> StoreError:
    """An exception object of one's own: one that is raised in many tasks collects tracebacks."""
    return type(failure)(str(failure))


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
