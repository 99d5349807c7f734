"""The three descriptors that a process is started with, made fit for a server.

What starts us may have closed any of them (``2>&-``, some supervisors). The next file that is
opened then gets its number: the store, say, as 2, and whatever writes to standard error writes
into the store. So they are taken first, by the null device.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

_STANDARD: Final = (0, 1, 2)


def occupy() -> None:
    """Open the null device for each standard descriptor that is closed. Call it first."""
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, which is this one: those below are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def forgive() -> None:
    """Let no character fail to be printed: what an encoding lacks is shown by its number."""
    for stream in (sys.stdout, sys.stderr):
        # Python's own streams; None where the descriptor was closed, anything where we are called.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def let_go() -> None:
    """Flush for the last time; what cannot be written any more is nobody's to know.

    Python flushes again when it exits, and would turn an exit code of 0 into 120 where that
    fails: a closed pipe, a full disk. So what could not be flushed goes to the null device.
    """
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, descriptor)
                os.close(null)
