"""When an upstream that fails is left alone, and when it is asked again. Sans-I/O.

    state       may be asked     goes to     when
    ----------  ---------------  ----------  -------------------------------------------------
    closed      always           open        of the last outcomes too many are failures
    open        never            half-open   its time is over
    half-open   one probe        closed      the probe succeeds
                                 open, for   the probe fails
                                 longer

What decides is the *rate* of failures among recent outcomes, not how many came in a row: retries
make an upstream that fails three in ten useful, one that fails nine in ten is not worth a try.

An outcome counts in the state in which its request was begun: the end of an answer that began an
hour ago says nothing about a probe. A probe whose outcome does not come (its client left, or the
model thinks for minutes) keeps others from probing for as long as the breaker was open, no longer.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

# A rate is read off so many outcomes: enough for it to mean something, and so few that those of
# a better time are soon outvoted.
WINDOW: Final = 20
# Of an upstream that fails three in ten, nine of the first ten fail in one case of 7000.
LEAST: Final = 10
RATE: Final = 0.9
# What happened longer ago says nothing about now.
MEMORY: Final = 600.0
# A restart takes a second or two; after the last of these, one request in eight seconds is
# neither a burden to an upstream that is down nor a long wait once it is back.
FIRST_OPEN: Final = 1.0
LAST_OPEN: Final = 8.0


class BreakerState(StrEnum):
    """See the table above."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Ticket:
    """A request that was begun; its outcome is recorded with it."""

    __slots__ = ("at", "epoch", "ok")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.at = 0.0
        self.ok = False

    def again(self) -> Ticket:
        """For a further outcome of the same request."""
        return Ticket(self.epoch)


class Breaker:
    """One upstream's. Times are seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self._epoch = 0
        """Which stay in a state this is: outcomes of an earlier one are none."""
        self._outcomes: deque[Ticket] = deque(maxlen=WINDOW)
        self._open_for = 0.0
        """0: closed."""
        self._due = 0.0
        """When the next probe may begin, where it is not closed."""

    def state(self, now: float) -> BreakerState:
        """Where it stands."""
        if not self._open_for:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._due else BreakerState.HALF_OPEN

    def allows(self, now: float) -> bool:
        """Whether a request may begin."""
        return self.state(now) is not BreakerState.OPEN

    @property
    def due(self) -> float:
        """From when on one is allowed."""
        return self._due if self._open_for else 0.0

    def begin(self, now: float) -> Ticket:
        """A request that ``allows`` begins; it is the probe where one is due."""
        if self.state(now) is BreakerState.HALF_OPEN:
            self._due = now + self._open_for
        return Ticket(self._epoch)

    def record(self, ticket: Ticket, ok: bool, now: float) -> None:
        """The outcome of a request, or another one in its place."""
        if ticket.epoch != self._epoch:
            return
        if self._open_for:
            self._close() if ok else self._open(now)
            return
        ticket.ok, ticket.at = ok, now
        if ticket not in self._outcomes:
            self._outcomes.append(ticket)
        if not ok and self._fails_too_often(now):
            self._open(now)

    def forget(self, ticket: Ticket, now: float) -> None:
        """There will be no outcome: another may probe at once."""
        if ticket.epoch == self._epoch and self._open_for:
            self._due = now

    def _fails_too_often(self, now: float) -> bool:
        recent = [ticket.ok for ticket in self._outcomes if now - ticket.at <= MEMORY]
        return len(recent) >= LEAST and recent.count(False) >= RATE * len(recent)

    def _open(self, now: float) -> None:
        self._epoch += 1
        self._outcomes.clear()
        self._open_for = min(self._open_for * 2 or FIRST_OPEN, LAST_OPEN)
        self._due = now + self._open_for

    def _close(self) -> None:
        self._epoch += 1
        self._open_for = 0.0
