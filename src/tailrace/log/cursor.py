"""A reader's place in one stream, with a view and a sink.

A cursor pulls. It is always in exactly one of these conditions:

    IDLE      at the end of what can be seen; the doorbell will pump it
    BLOCKED   its sink is full; ``writable()`` will pump it
    FETCHING  its place is behind the window; ``arrived()`` will pump it
    DONE      finished or lost; nothing will

and ``pump()`` moves it from one to the next: read at my place, encode, write one slice. Replay
and live are the same loop, so there is no hand-over between them in which to lose anything.

The place is three integers: ``seq``, the last event written whole; ``part``, where in the next
one its encoding goes on, if that event is large; and ``skip``, the bytes of that part, or of the
event's encoding, that went out already. A blocked cursor holds nothing else: what it was about to
write is encoded again, or found encoded, when its sink takes more.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from tailrace.contracts import LAST_PART, Closing, Marker, Part, Sink, View
from tailrace.errors import NotFound, TailraceError
from tailrace.log.pieces import Piece
from tailrace.model import Event

if TYPE_CHECKING:
    from tailrace.log.stream import Stream

logger = logging.getLogger(__name__)

# The most one write may hand to a sink. A viewer that does not read holds its transport's 64 KiB
# and one of these; less would cost more calls per megabyte (32 KiB: 32 of them).
SLICE: Final = 32 * 1024
# Data bytes and events read for one encoding: with ids and framing they make about one slice.
READ: Final = 24 * 1024
COUNT: Final = 256
# Data of one event that is encoded in parts: its encoding is more than a slice.
LARGE: Final = 32 * 1024


class Condition(Enum):
    """What a cursor waits for."""

    IDLE = auto()
    BLOCKED = auto()
    FETCHING = auto()
    DONE = auto()


class Cursor:
    """Follows ``stream`` from ``seq`` on, until its end or the sink's."""

    __slots__ = (
        "_clock", "_fetched", "_held", "_marked", "_marker", "_on_done", "_part", "_patience",
        "_period", "_plain", "_retiring", "_sink", "_skip", "_view", "_view_name", "_written_at",
        "blocked_since", "condition", "seq", "stream",
    )  # fmt: skip

    def __init__(
        self,
        stream: Stream,
        view: View,
        sink: Sink,
        seq: int,
        *,
        clock: Callable[[], float],
        heartbeat: float,
        patience: float,
        on_done: Callable[[Cursor], None],
        marker: Marker | None = None,
    ) -> None:
        self.stream = stream
        self.seq = seq
        self.condition = Condition.IDLE
        self.blocked_since: float | None = None
        """Since when (loop time) the sink takes nothing; None while it does."""
        self._view = view
        self._view_name = view.name
        self._sink = sink
        self._part = 0
        self._skip = 0
        self._clock = clock
        self._period = heartbeat
        self._patience = patience
        self._written_at = clock()
        self._on_done = on_done
        self._marker = marker
        self._retiring = False
        self._held = False
        """What is being fetched for it is not to be written before ``writable()``."""
        self._marked: tuple[int, bool, bool] | None = None
        self._plain = marker is None
        """What it is to be given depends on its place and its view alone."""
        self._fetched = -1
        """The place from which the store was read because a unit went past what was at hand."""

    def pump(self) -> bool:
        """Write the next slice, if there is one and the sink takes it. Never raises.

        True: there may be more to write at once.
        """
        try:
            # The way of nearly every event first, without a call more than it takes: a reader
            # that keeps up, and whom nothing else concerns.
            stream = self.stream
            within = self._skip or self._part
            if self._plain and self.condition is Condition.IDLE and not within:
                piece = stream.next_piece(self._view, self._view_name, self.seq)
                if piece is not None:
                    data, self.seq = piece
                    self._written_at = self._clock()
                    if not self._sink.write(data):
                        self._block()
                        return False
                    if self.seq < stream.visible or stream.ending is not None:
                        return True
                    stream.wait(self)
                    return False
            return self._pump()
        except Exception:
            logger.exception("a cursor failed and was detached")
            self._finish(whole=False)
            return False

    def _pump(self) -> bool:
        if self.condition is not Condition.IDLE:
            return False
        within = self._within
        retiring = self._retiring and not within
        if retiring or self.seq < self.stream.trimmed:
            # What was trimmed under a slow reader it is told of when it asks for its place.
            self._finish(whole=retiring)
            return False
        events = self.stream.read(self.seq, 1 if within else READ, COUNT)
        if events is None:
            return self._fetch()
        if not events:
            self._at_end()
            return False
        if len(events[0].data) > LARGE:
            part = self.stream.part(self._view, events[0], self._part)
            if part is not None:
                return self._write_part(part, events[0].seq)
        return self._write_events(events)

    def _write_events(self, events: list[Event]) -> bool:
        events = self._whole(events, fewest=self._skip > 0)
        if not events:
            return False
        data = self.stream.encode(self._view, events)
        if len(data) > SLICE and len(events) > 1:
            # A slice can end within the encoding of one unit (nearly always one event), not
            # within a batch's: `skip` says where in it, whatever batches are made of it later.
            events = self._whole(events, fewest=True)
            data = self.stream.encode(self._view, events)
        if len(data) <= SLICE and not self._skip:
            self.seq = events[-1].seq
            if self._marker is not None:
                data += self._mark()
            elif data:
                self.stream.share(self._view_name, events[0].seq - 1, Piece(data, self.seq))
            return self._write(data) if data else True
        return self._write_slice(data, events[-1].seq)

    def _whole(self, events: list[Event], *, fewest: bool) -> list[Event]:
        """As many as the view can encode by themselves; none: it waits for what follows."""
        view, stream = self._view, self.stream
        if view.eventwise:
            return events[:1] if fewest else events
        count = view.whole(events, fewest=fewest, last=stream.is_last(events[-1].seq))
        while not count:
            more = stream.read(self.seq, sys.maxsize, len(events) + 1)
            if more is None or (len(more) <= len(events) and more[-1].seq < stream.visible):
                if self._fetched != self.seq:
                    self._fetched = self.seq
                    self._fetch()
                    return []
                count = view.whole(events, fewest=fewest, last=True)
                break
            if len(more) <= len(events):
                self._at_end()
                return []
            events = more
            count = view.whole(events, fewest=fewest, last=stream.is_last(events[-1].seq))
        return events[:count]

    def _fetch(self) -> bool:
        self.condition = Condition.FETCHING
        self.stream.fetch(self.seq, self)
        return False

    def _write_slice(self, data: bytes, last: int) -> bool:
        start = self._skip
        stop = min(start + SLICE, len(data))
        piece = data[start:stop]
        if stop == len(data):
            self.seq = last
            self._skip = 0
            piece += self._mark()
        else:
            self._skip = stop
        return self._write(piece)

    def _write_part(self, part: Part, seq: int) -> bool:
        """The next slice of a part of the large event ``seq``."""
        data, following = part
        start = self._skip
        stop = min(start + SLICE, len(data))
        piece = data if stop - start == len(data) else data[start:stop]
        if stop < len(data):
            self._skip = stop
        elif following != LAST_PART:
            self._part, self._skip = following, 0
        else:
            self.seq = seq
            self._part = self._skip = 0
            piece += self._mark()
        return self._write(piece) if piece else True

    @property
    def _within(self) -> bool:
        """Whether some of the next event's encoding went out, and not all of it."""
        return self._skip > 0 or self._part > 0

    def _mark(self) -> bytes:
        """What the view says to this reader alone; nothing where it was said already."""
        if self._marker is None:
            return b""
        caught_up = self.seq >= self.stream.visible
        closed = caught_up and self.stream.ending is not None
        place = (self.seq, caught_up, closed)
        if place == self._marked:
            return b""
        self._marked = place
        seq = min(self.seq, self.stream.visible)
        return self._marker.mark(self.stream.offset(seq), caught_up=caught_up, closed=closed)

    def _write(self, data: bytes) -> bool:
        self._written_at = self._clock()
        if self._sink.write(data):
            return True
        self._block()
        return False

    def _block(self) -> None:
        if self.condition is Condition.IDLE:  # the sink may have called lost() meanwhile
            self.condition = Condition.BLOCKED
            self.blocked_since = self._written_at

    def _at_end(self) -> None:
        ending = self.stream.ending
        if ending is None:
            mark = self._mark()
            if not mark or self._write(mark):
                self.stream.wait(self)
            return
        mark = self._mark()
        self.seq = ending.seq
        self._close(self._view.end(self.stream.generation, ending), mark)

    def _close(self, closing: Closing, mark: bytes = b"") -> None:
        if self._within:  # whatever it is, it would stand within an event
            self._finish(whole=False)
            return
        if mark or closing.data:
            self._sink.write(mark + closing.data)
        self._finish(whole=closing.whole)

    def _finish(self, *, whole: bool) -> None:
        if self.condition is Condition.DONE:
            return
        self.condition = Condition.DONE
        self._sink.finish(whole)
        self._on_done(self)

    # --- what others call -----------------------------------------------------------------

    def begin(self) -> None:
        """Set it going, unless its client has left already."""
        if self.condition is not Condition.DONE:
            self.stream.attach(self)

    def hold(self) -> None:
        """Its sink takes nothing from it, though it did not write: wait for ``writable()``."""
        if self.condition is Condition.IDLE:
            self.condition = Condition.BLOCKED
            self.blocked_since = self._clock()
        elif self.condition is Condition.FETCHING:
            self._held = True

    def writable(self) -> None:
        """The sink has room again."""
        self._held = False
        if self.condition is not Condition.BLOCKED:
            return
        self.condition = Condition.IDLE
        self.blocked_since = None
        if self.pump():
            self.stream.again(self)

    def lost(self) -> None:
        """The client is gone."""
        if self.condition is Condition.DONE:
            return
        self.condition = Condition.DONE
        self._on_done(self)

    def arrived(self) -> None:
        """What was fetched can be read now."""
        if self.condition is not Condition.FETCHING:
            return
        self.condition = Condition.IDLE
        if self._held:
            self.hold()
        elif self.pump():
            self.stream.again(self)

    def unreadable(self, error: TailraceError) -> None:
        """What was to be fetched cannot be: end as cut, for the reader to come back later."""
        if self.condition is not Condition.FETCHING:
            return
        if isinstance(error, NotFound):
            self.stream.expire()
            if self._held:
                self.arrived()  # at that ending
                return
            self._close(self._view.end(self.stream.generation, self.stream.expired))
            return
        self._finish(whole=False)

    def leave(self, retry: int) -> None:
        """The server goes away: say when to come back, where the view and the sink have room."""
        if self.condition is Condition.DONE:
            return
        if self.condition is Condition.BLOCKED:
            self._finish(whole=False)
            return
        self._close(self._view.farewell(retry))

    def retire(self) -> None:
        """End the body after what was written, for the reader to come back for the rest."""
        self._plain = False
        if self._within:
            self._retiring = True
        elif self.condition is not Condition.DONE:
            self._finish(whole=True)

    def look(self, now: float) -> float | None:
        """What time alone makes due: a heartbeat, or the end of a stuck viewer's time."""
        if self.condition is Condition.DONE:
            return None
        if self.condition is Condition.BLOCKED and self.blocked_since is not None:
            if now >= self.blocked_since + self._patience:
                self._finish(whole=False)
                return None
            return now + self._period
        if self.condition is Condition.FETCHING or now < self._written_at + self._period:
            return max(now, self._written_at + self._period)
        if self._view.heartbeat and not self._within:
            self._write(self._view.heartbeat)
        return now + self._period


def blocked_since(cursors: Iterable[Cursor]) -> Iterable[float | None]:
    """For each cursor, since when its sink takes nothing; None where it does."""
    return [cursor.blocked_since for cursor in cursors if cursor.condition is not Condition.DONE]
