"""What those who wait are told of a medium that fails."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from typing import Final

from tailrace.errors import StoreError, StoreFull, StoreUnavailable
from tailrace.stores.sqlite.isolation import is_of_medium
from tailrace.stores.sqlite.schema import primary_code

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


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
