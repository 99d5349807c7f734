"""What the server says to the person who started it. Nothing here may stop the server."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final, TextIO

# A line each: often enough to see that it goes on, seldom enough for a log file.
_PROGRESS_EVERY: Final = 5


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
    # A closed terminal or pipe is no reason to end anybody's answer.
    with suppress(OSError, ValueError):
        print(line, file=stream, flush=True)
