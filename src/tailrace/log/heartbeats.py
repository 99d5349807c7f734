"""The slow clock of all cursors: heartbeats after silence, and the end of a stuck viewer's time.

A wheel of slots, one turned per tick. A cursor stands in the slot in which it is due; what it
writes meanwhile costs nothing here: when its slot comes, it says when it wants to be looked at
next. So an event costs nothing and an idle viewer one look per heartbeat.

A wheel that turns late, after a gap of the loop, waits first, as `tailrace.patience` has it: a
viewer may have made room that nobody looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from tailrace.patience import grace

# A heartbeat is late by at most a sixteenth of its period.
_SLOTS: Final = 16


class Due(Protocol):
    """What the wheel looks at: a cursor."""

    def look(self, now: float) -> float | None:
        """Do what is due; return when to look again (loop time), None for never."""
        ...


class Heartbeats:
    """Looks at each cursor when it said it would be due, at the earliest."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        period: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.period = period
        """Seconds of silence after which a heartbeat is due."""
        self._loop = loop
        self._clock = clock or loop.time
        self._step = period / _SLOTS
        self._slots: list[set[Due]] = [set() for _ in range(_SLOTS)]
        self._at = 0
        self._places: dict[Due, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._turns_at = 0.0
        """When it is to turn (loop time)."""
        self._waited = False
        """Whether it was late for this turn, and waited: a loop that is always late has it turn."""

    def add(self, cursor: Due) -> None:
        """Look at ``cursor`` for the first time one period from now."""
        self._place(cursor, self.period)
        if self._timer is None:
            self._turn_in(self._step)

    def discard(self, cursor: Due) -> None:
        """Look at it no more."""
        place = self._places.pop(cursor, None)
        if place is not None:
            self._slots[place].discard(cursor)

    def close(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _place(self, cursor: Due, delay: float) -> None:
        # At least one slot ahead, at most once round: a farther time is looked at on the way.
        ahead = min(max(1, round(delay / self._step)), _SLOTS)
        place = (self._at + ahead) % _SLOTS
        self._places[cursor] = place
        self._slots[place].add(cursor)

    def _turn_in(self, delay: float) -> None:
        self._turns_at = self._loop.time() + delay
        self._timer = self._loop.call_at(self._turns_at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        more = grace(self._loop.time() - self._turns_at)
        if more and not self._waited:
            self._waited = True
            self._turn_in(more)
            return
        self._waited = False
        self._at = (self._at + 1) % _SLOTS
        due, self._slots[self._at] = self._slots[self._at], set()
        now = self._clock()
        for cursor in due:
            if self._places.pop(cursor, None) is None:
                continue
            again = cursor.look(now)
            if again is not None:
                self._place(cursor, again - now)
        if self._places:
            self._turn_in(self._step)
