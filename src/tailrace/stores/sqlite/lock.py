"""One user of a store at a time: a lock on the file itself, by whatever name it is opened.

    another process, the same name or a symbolic link   the lock file beside the resolved path
    another process, a hard link                        ``flock`` on the store's file
    the same process, any name                          the identities that are open in it

The order matters. Closing any descriptor of a file gives up all POSIX locks that the process has on
it, those of SQLite's connections included. So the file is not even opened by who must not have it,
as far as this process can know, and the descriptor that is locked is closed last of all.

``flock`` is apart from the locks that SQLite takes on Linux only; elsewhere a file with further
hard links is refused.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Final

import filelock

from tailrace.errors import StoreLocked

# Devices and inodes of the files that are stores in this process. POSIX locks belong to a process,
# so what it has open has to be known for the whole of it.
_open: Final[set[tuple[int, int]]] = set()
_changing: Final = threading.Lock()


class StoreLock:
    """The right to use a store's file, once ``acquire`` has returned and until ``release``.

    path: where the file is or will be, with symbolic links resolved.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = filelock.FileLock(lock_of(path), thread_local=False)
        self._descriptor = -1
        self._identity = (0, 0)
        self._made = False

    def acquire(self) -> None:
        """Lock; make the file where it is missing. Raises StoreLocked or OSError."""
        # Only the owner may look into a directory of ours: it holds private conversations.
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._beside.acquire(blocking=False)
        except filelock.Timeout:
            raise self._in_use() from None
        try:
            with _changing:
                self._lock_identity()
        except BaseException:
            self._beside.release()
            raise

    def _lock_identity(self) -> None:
        self._made = not self._path.exists()
        if not self._made and _identity(self._path.stat()) in _open:
            raise self._in_use()
        # The file holds what people said to each other; the log inherits its permissions.
        descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600
        )
        try:
            if not _lock_exclusively(descriptor):
                raise self._in_use()
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._identity = _identity(os.fstat(descriptor))
        _open.add(self._identity)

    def release(self) -> None:
        """Let others use the file. Every connection to it is closed. May be called again."""
        with _changing:
            if self._descriptor >= 0:
                _open.discard(self._identity)
                if self._made and os.fstat(self._descriptor).st_size == 0:
                    self._path.unlink()  # the start was refused: leave everything as it was
                os.close(self._descriptor)
                self._descriptor = -1
        self._beside.release()

    def _in_use(self) -> StoreLocked:
        return StoreLocked(
            f"The store {self._path} is in use by another process, or by another part of this one; "
            "stop that one, or name another file."
        )


def lock_of(path: Path) -> Path:
    """The lock file beside a store's file."""
    return path.with_name(path.name + ".lock")


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


if sys.platform == "linux":
    import fcntl

    def _lock_exclusively(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

else:

    def _lock_exclusively(descriptor: int) -> bool:
        return os.fstat(descriptor).st_nlink <= 1
