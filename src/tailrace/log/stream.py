"""A stream as the process that runs it sees it: its window, its cursors, its visibility.

Visibility belongs to the stream. With a source, what is appended is shown at once and durable
within one group commit. Without one, clients append: durable first, then acknowledged and
shown, so that no reader ever sees what could still be lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.contracts import Append, Source, Store, View
from tailrace.errors import StoreFull, StoreOverloaded, StoreUnavailable
from tailrace.log.cursor import Condition, Cursor
from tailrace.log.doorbell import Doorbell
from tailrace.log.encodings import Encodings
from tailrace.log.heartbeats import Heartbeats
from tailrace.log.history import History
from tailrace.log.lifecycle import Action, State, after, state_of
from tailrace.log.window import Window
from tailrace.model import Ending, EndingKind, Event, StreamInfo

# An encoding of this size leaves in slices, each of which would make it anew.
_LARGE: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Machinery:
    """What all streams of one process share."""

    store: Store
    bell: Doorbell
    history: History
    encodings: Encodings
    heartbeats: Heartbeats
    window: int
    """Bytes of each stream's tail to keep in memory."""
    wall: Callable[[], int]
    """Milliseconds since the epoch."""
    clock: Callable[[], float]
    """Loop time, seconds."""


class Stream:
    """One making of one name, with the cursors that read it here."""

    def __init__(self, info: StreamInfo, shared: Machinery, number: int = 0) -> None:
        self.name: Final = info.name
        self.generation: Final = info.generation
        self.content_type: Final = info.content_type
        self.created: Final = info.created
        self.state = state_of(info)
        self.ending = info.ending
        self.source: Source | None = None
        self.source_kind: Final = info.source
        self.left_at = shared.clock()
        """When the last cursor left (loop time); when the stream was opened if none came."""
        self._shared = shared
        self._last_seq = info.last_seq
        self._visible = info.last_seq
        self._size = info.size
        self._window = Window(info.last_seq, shared.window)
        self._cursors: dict[Cursor, None] = {}
        self._waiting: dict[Cursor, None] = {}
        self._due: deque[Cursor] = deque()
        self._ending_to_come: Ending | None = None
        self._number = number

    # --- facts ----------------------------------------------------------------------------

    @property
    def info(self) -> StreamInfo:
        """The stream as it stands, as far as readers may see it."""
        return StreamInfo(
            self.name, self.generation, self.content_type, self.created, self.source_kind,
            self._visible, self._size, self.ending,
        )  # fmt: skip

    @property
    def visible(self) -> int:
        """The number of the last event that readers may see."""
        return self._visible

    @property
    def cursors(self) -> Iterable[Cursor]:
        """Those who read it here."""
        return self._cursors.keys()

    @property
    def expired(self) -> Ending:
        """The ending that readers see whose stream went away under them."""
        seq = self.ending.seq if self.ending else self._last_seq + 1
        return Ending(EndingKind.EXPIRED, "The stream was deleted.", seq, self._shared.wall())

    # --- writing --------------------------------------------------------------------------

    def feed(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Append by the stream's own source: shown at once.

        Each record is a type and its data. The caller looks at ``congested`` afterwards.
        """
        self.state = after(self.state, Action.FEED)
        self._append(records, None, shown=True)

    def end(self, kind: EndingKind, reason: str = "") -> None:
        """Write the one terminal record; by the stream's own source."""
        self.state = after(self.state, Action.END)
        self.source = None
        self._append((), (kind, reason), shown=True)

    async def append(self, records: Sequence[tuple[str, bytes]], *, close: bool = False) -> None:
        """Append by a client, and perhaps close: returns once durable and shown.

        Raises StreamHasSource, StreamIsClosed, NotFound, StoreOverloaded, StoreFull or
        StoreUnavailable; of the last two, what was to be appended may yet appear.
        """
        state = after(self.state, Action.CLOSE if close and not records else Action.APPEND)
        if state is self.state is State.CLOSED:
            return
        refuse_if_unwell(self._shared.store)
        self.state = State.CLOSED if close else state
        self._append(records, (EndingKind.COMPLETED, "") if close else None, shown=False)
        last, ending = self._last_seq, self._ending_to_come
        await self.committed()
        # Commits cover changes in order: everything before this one is durable as well.
        self._visible = max(self._visible, last)
        self.ending = self.ending or ending
        self._ring()

    @property
    def congested(self) -> bool:
        """Whether the source ought to pause until its last change is committed."""
        return self._shared.store.health().congested

    async def committed(self) -> None:
        """Wait until all that happened here until now is durable.

        Raises StoreFull or StoreUnavailable.
        """
        await self._shared.store.committed(self._number)

    def _append(
        self, records: Sequence[tuple[str, bytes]], end: tuple[EndingKind, str] | None, *,
        shown: bool,
    ) -> None:  # fmt: skip
        now = self._shared.wall()
        events = []
        for kind, data in records:
            self._last_seq += 1
            event = Event(self._last_seq, now, kind, data)
            events.append(event)
            self._window.add(event)
            self._size += len(data)
        ending = None
        if end is not None:
            ending = Ending(end[0], end[1], self._last_seq + 1, now)
        self._number = self._shared.store.write(Append(self.generation, events, ending))
        if shown:
            self._visible = self._last_seq
            self.ending = ending
            self._ring()
        else:
            self._ending_to_come = ending

    def expire(self) -> None:
        """Deleted: readers learn it, nobody writes any more."""
        self.state = State.GONE
        self.ending = self.expired
        self._window.clear()
        self._ring()

    # --- reading --------------------------------------------------------------------------

    def attach(self, cursor: Cursor) -> None:
        """Let ``cursor`` read; it is pumped in this or the next turn of the loop."""
        self._cursors[cursor] = None
        self._shared.heartbeats.add(cursor)
        self.again(cursor)

    def detach(self, cursor: Cursor) -> None:
        """It reads no more."""
        if cursor not in self._cursors:
            return
        del self._cursors[cursor]
        self._waiting.pop(cursor, None)
        self._shared.heartbeats.discard(cursor)
        if not self._cursors:
            self.left_at = self._shared.clock()

    def read(self, place: int, size: int, count: int) -> list[Event] | None:
        """Visible events after ``place``; empty at the end; None: behind the window, fetch()."""
        if place >= self._visible or self.state is State.GONE:
            return []
        room = min(count, self._visible - place)
        events = self._window.read(place, size, room)
        if events is None:
            events = self._shared.history.read(self.generation, place, size, room)
        return events

    def fetch(self, place: int, cursor: Cursor) -> None:
        """Have what comes after ``place`` read from the store."""
        self._shared.history.request(self.generation, place, cursor)

    def encode(self, view: View, events: list[Event]) -> bytes:
        """Encode, sharing with the stream's other cursors and with the next slice."""
        large = len(events) == 1 and len(events[0].data) > _LARGE
        keep = large or len(self._cursors) > 1
        return self._shared.encodings.encode(view, self.generation, events, keep=keep)

    def wait(self, cursor: Cursor) -> None:
        """Pump ``cursor`` at the next ring."""
        self._waiting[cursor] = None

    def again(self, cursor: Cursor) -> None:
        """Pump ``cursor`` once more, when it is its turn."""
        self._due.append(cursor)
        self._shared.bell.ring(self)

    def pump(self, count: int) -> bool:
        """Pump up to ``count`` of the cursors that are due; whether some are left."""
        due = self._due
        for _ in range(min(count, len(due))):
            cursor = due.popleft()
            if cursor.pump():
                due.append(cursor)
        return bool(due)

    def _ring(self) -> None:
        if self._waiting:
            self._due.extend(self._waiting)
            self._waiting.clear()
        if self._due:
            self._shared.bell.ring(self)


def refuse_if_unwell(store: Store) -> None:
    """Raises StoreFull, StoreUnavailable or StoreOverloaded where a new append would wait."""
    health = store.health()
    if health.failure:
        raise (StoreFull if health.full else StoreUnavailable)(health.failure)
    if health.congested:
        raise StoreOverloaded("More waits to be written than may; try again in a moment.")


def blocked_since(cursors: Iterable[Cursor]) -> Iterable[float | None]:
    """For each cursor, since when its sink takes nothing; None where it does."""
    return (cursor.blocked_since for cursor in cursors if cursor.condition is not Condition.DONE)
