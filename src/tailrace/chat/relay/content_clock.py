"""How long an upstream has sent nothing of its answer, whatever else it sent. No I/O."""

from __future__ import annotations

from typing import Final


class ContentClock:
    """Looked at now and then, so that an event costs nothing. Seconds of any clock."""

    def __init__(self, limit: float, now: float) -> None:
        self._limit: Final = limit
        self._seq = 0
        self._since = now

    def ran_out(self, now: float, seq: int, *, runs: bool, late: float = 0.0) -> bool:
        """Whether there was no event for as long as may be.

        ``seq``: of the stream's last event; ``runs``: whether any could have come since the last
        look. It is late by as long as that is ago at most. ``late``: for how long this look was
        due, a time in which nothing was read.
        """
        self._since += late
        if seq != self._seq or not runs:
            self._seq = seq
            self._since = now
        return now - self._since >= self._limit
