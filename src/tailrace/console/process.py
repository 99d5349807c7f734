"""What this process costs, as far as the machine says."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

# Linux; the second number is of pages that are resident.
_STATM: Final = Path("/proc/self/statm")


class Process:
    """Looked at again and again."""

    def __init__(self) -> None:
        self._began = self._looked = time.monotonic()
        self._spent = time.process_time()

    @property
    def uptime(self) -> float:
        """Seconds since it was first looked at."""
        return time.monotonic() - self._began

    def cpu(self) -> float:
        """Of one core, the part that was spent since this was last called."""
        now, spent = time.monotonic(), time.process_time()
        elapsed, used = now - self._looked, spent - self._spent
        self._looked, self._spent = now, spent
        return used / elapsed if elapsed > 0 else 0.0


def memory() -> int:
    """Bytes that are resident; elsewhere than on Linux the most there were; 0: not known."""
    with suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
