"""Space that is kept for deletes: on a full disk they have to write before they make room.

A file beside the store's, of which nobody reads a byte. It is given back to the file system when
a delete finds no room, and taken again afterwards.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

# It must hold what a delete writes into the log, and what the file grows by when the log is copied
# into it, which comes before the log can be emptied. A delete writes the pages of trees that it
# changes, some 30, and one page (4 KiB) for each 400 pages that become free: half of this is
# enough for a stream of 150 MiB. The other half is what the log may hold near a full disk.
RESERVE: Final = 1024 * 1024
# Of what is free no more than this part, so that a small disk is left to those who store.
_PART: Final = 16
# Less is of no use: the log's index alone takes 32 KiB.
_LEAST: Final = 64 * 1024
# A disk with less free space than this may be full before the log is looked at again: what the log
# takes between two looks, some 10 MiB, several times.
_NEARLY_FULL: Final = 64 * 1024 * 1024


class Reserve:
    """The space beside one store's file."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".reserve")
        self._size = 0

    def free(self) -> int:
        """Bytes that can be written on the store's disk; 0 where that cannot be found out."""
        try:
            return shutil.disk_usage(self._path.parent).free
        except OSError:
            return 0

    def log_limit(self, usual: int) -> int:
        """Bytes that the log may hold before it is copied, ``usual`` while there is room."""
        if self.free() >= _NEARLY_FULL:
            return usual
        return min(usual, max(_LEAST, self._size // 2))

    def fill(self) -> None:
        """Take the space: as much as it once was, or as is due to it. Raises nothing."""
        there = self._taken()
        self._size = max(there, self._size, min(RESERVE, (self.free() + there) // _PART))
        if there >= self._size or self._size < _LEAST:
            return
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                wanted = self._size
                while wanted >= _LEAST and not _take(descriptor, wanted, there):
                    wanted //= 2
            finally:
                os.close(descriptor)

    def release(self) -> None:
        """Give the space back to the file system. Raises nothing."""
        # Not removed: making a file anew takes room in its directory.
        with suppress(OSError):
            os.truncate(self._path, 0)

    def _taken(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0


def _take(descriptor: int, size: int, before: int) -> bool:
    """Have the file be ``size`` bytes long, whole, or as long as ``before``."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, bytes(size))
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, before)
        return False
    return os.fstat(descriptor).st_size >= size
