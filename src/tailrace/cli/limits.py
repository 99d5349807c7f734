"""What the system must allow, asked for at the start: later it could only fail in the middle."""

from __future__ import annotations

import threading
from typing import Final

from tailrace.errors import StartupError

# The store's writer and readers, the resolver's four (of libuv, which aborts the process where it
# cannot start one), and some that Python starts for what would block.
_THREADS: Final = 12
# Beside what is open at the start: the loop's, the store's, the listeners', and a few connections.
_FILES: Final = 64


def check() -> None:
    """Raises StartupError where the server would start, and not get far."""
    _check_files()
    _check_threads()


def _check_files() -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FILES:
        raise StartupError(
            f"Only {soft} files may be open at a time, and each connection is one: raise the "
            f"limit to at least {_FILES} (ulimit -n)."
        )


def _check_threads() -> None:
    done = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(_THREADS):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError):
        raise StartupError(
            f"The server needs {_THREADS} threads, and the system starts only {len(started)}: "
            "raise the limit on processes (ulimit -u, a container's pids limit) or on memory."
        ) from None
    finally:
        done.set()
        for thread in started:
            thread.join()
