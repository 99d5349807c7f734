"""When an answer ends because of time alone. No I/O: values and a clock in.

    what time shows                                      ending
    ---------------------------------------------------  ---------------------------------------
    nobody attends it, for as long as its policy allows  cancelled (``log/attendance.py``)
    no event of it for too long, whatever else was sent  stalled (``content_clock.py``)

Somebody has to look: a viewer that stalls rings no bell, nor does content that does not come.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tailrace.chat.relay.answer_parser import AnswerEnd
from tailrace.chat.relay.content_clock import ContentClock
from tailrace.chat.relay.relay_request import RelayLimits
from tailrace.log.attendance import Attendance
from tailrace.model import EndingKind
from tailrace.patience import grace

# The clock for content is looked at so often within its time: it may run out late by as much.
_LOOKS: Final = 8


class AnswerDeadlines:
    """The deadlines of one answer. Times are seconds of one clock."""

    def __init__(self, attendance: Attendance, limits: RelayLimits, now: float) -> None:
        """``attendance``: who attends the answer; its owner goes on to tell it of them."""
        self._attendance = attendance
        self._content = ContentClock(limits.content, now)
        self._period: Final = min(limits.stall, limits.content / _LOOKS)
        self._late = 0.0
        self.look_at = now + self._period
        """When to look next, at the latest."""

    def look(
        self, now: float, seq: int, blocked: Iterable[float | None], *, reads: bool
    ) -> AnswerEnd | None:
        """Return how the answer ends now, or None: it goes on until ``look_at`` at least.

        ``seq``: of the stream's last event; ``blocked``: for each viewer, since when it has not
        taken anything; ``reads``: whether the upstream is being read.
        """
        late = now - self.look_at
        more = grace(late)
        if more and not self._late:  # the loop stood still: what waits is read first
            self._late += late + more
            self.look_at = now + more
            return None
        late, self._late = self._late, 0.0
        stops_at = self._attendance.stops_at(blocked)
        if stops_at <= now:
            return AnswerEnd(EndingKind.CANCELLED, self._attendance.reason)
        if self._content.ran_out(now, seq, runs=reads, late=late):
            why = "The upstream sent nothing of the answer for too long."
            return AnswerEnd(EndingKind.STALLED, why)
        self.look_at = min(stops_at, now + self._period)
        return None
