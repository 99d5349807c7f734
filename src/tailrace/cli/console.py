"""What the server says to the person who started it. Nothing here may stop the server.

Not a descriptor that is closed, a pipe without a reader or a full disk, and not a reader that has
stopped (a pager, a terminal after Ctrl-S, a hung collector): what it does not take is lost.
"""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from typing import Final, TextIO

# A line each: often enough to see that it goes on, seldom enough for a log file.
_PROGRESS_EVERY: Final = 5
# Milliseconds of the event loop's time for a reader that is behind by a whole pipe (64 KiB).
_PATIENCE: Final = 1


def say(line: str) -> None:
    """One line on standard output: where to look, and the access log."""
    _write(line, sys.stdout)


def warn(line: str) -> None:
    """One line on standard error."""
    _write(f"tailrace: {line}", sys.stderr)


class Progress:
    """Says now and then that something slow still goes on. Call it with the seconds passed."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = _PROGRESS_EVERY
        say(f"{what} …")

    def __call__(self, passed: float) -> None:
        if passed >= self._next:
            say(f"{self._what} … {passed:.0f} s")
            self._next += _PROGRESS_EVERY


def _write(line: str, stream: TextIO | None) -> None:
    if stream is None:  # print would take that for standard output
        return
    with suppress(OSError, ValueError):
        if _takes(stream):
            print(line, file=stream, flush=True)


def _takes(stream: TextIO) -> bool:
    """Whether a line can be written without waiting for whoever reads."""
    if not hasattr(select, "poll"):  # Windows, where a pipe cannot be asked
        return True
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # none, as of a StringIO
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(_PATIENCE))
