"""A stream as the process that runs it sees it: its window, its cursors, its visibility.

Visibility belongs to the stream. With a source, what is appended is shown at once and durable
within one group commit. Without one, clients append: durable first, then acknowledged and
shown, so that no reader ever sees what could still be lost. Even a refusal (closed, fenced, out
of order) waits until what it rests on is durable.

A fork reads its ancestors' events where they are, under their generations: a read never goes
past the end of one ancestor's part, and the next read goes on in the next part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import replace
from typing import Final, final

from mypy_extensions import mypyc_attr

from tailrace.contracts import Alias, Append, Note, Part, Source, View, make_append
from tailrace.errors import NotFound, RequestError, StreamIsClosed
from tailrace.log import forking
from tailrace.log.cursor import COUNT, LARGE, READ, SLICE, Cursor
from tailrace.log.history import Fetch
from tailrace.log.ledger import Appended, AppendWish, Ledger
from tailrace.log.lifecycle import Action, State, after, state_of
from tailrace.log.machinery import Machinery, refuse_if_unwell
from tailrace.log.making import Records
from tailrace.log.pieces import Piece, Pieces, make_piece
from tailrace.log.producers import Claim
from tailrace.log.watchers import Watchers
from tailrace.log.window import Window
from tailrace.model import Ending, EndingCode, EndingKind, Event, Offset, Producer, StreamInfo
from tailrace.wire.characters import well_formed

STORAGE: Final = "storage"
"""The reason in ``failed`` when our own storage is at fault."""


@final
@mypyc_attr(allow_interpreted_subclasses=True)
class Stream:
    """One making of one name, with the cursors that read it here.

    Final, so that compiled calls of its methods are direct; the one subclass (in ``catalogue``)
    adds nothing but the room for weak references.
    """

    def __init__(self, info: StreamInfo, shared: Machinery, number: int = 0) -> None:
        self.name: Final = info.name
        self.generation: Final = info.generation
        self.content_type: Final = info.content_type
        self.created: Final = info.created
        self.state = state_of(info)
        self.ending = info.ending
        self.source: Source | None = None
        self.source_kind: Final = info.source
        self.viewers = 0
        """How often a cursor came to read it here."""
        self._shared = shared
        self._base = info
        self._last_seq = info.last_seq
        self.visible = info.last_seq
        """The number of the last event that readers may see."""
        self.trimmed = info.trimmed
        """Events up to this number are no longer kept."""
        self._size = info.size
        self._window = Window(info.last_seq, shared.window)
        self._cursors: dict[Cursor, None] = {}
        self._waiting: dict[Cursor, None] = {}
        self._due: deque[Cursor] = deque()
        self._watchers: Final = Watchers()
        self._pieces = Pieces()
        self._ledger = Ledger()
        self._number = number
        self.born: Final = number
        """The change that made it, if this process did; 0 if it was there."""
        self.lost = False
        """The store could not even keep that: the stream is here as long as somebody reads it."""

    # --- facts ----------------------------------------------------------------------------

    @property
    def info(self) -> StreamInfo:
        """The stream as it stands, as far as readers may see it."""
        return replace(self._base, last_seq=self.visible, size=self._size, ending=self.ending)

    @property
    def cursors(self) -> Collection[Cursor]:
        """Those who read it here."""
        return self._cursors.keys()

    @property
    def watched(self) -> bool:
        """Whether somebody reads it here, or waits for news of it."""
        return bool(self._cursors or self._watchers.count)

    @property
    def expired(self) -> Ending:
        """The ending that readers see whose stream went away under them."""
        seq = self.ending.seq if self.ending else self._last_seq + 1
        return Ending(EndingKind.EXPIRED, "The stream was deleted.", seq, self._shared.wall())

    def offset(self, seq: int) -> Offset:
        """The place after event ``seq``, as clients know it."""
        return self._base.offset(seq)

    def renewed(self, deadline: int) -> None:
        """The store was told of this deadline."""
        self._base = replace(self._base, deadline=deadline)

    def trim(self, seq: int) -> None:
        """The store keeps no events up to ``seq`` any more."""
        self.trimmed = max(seq, self.trimmed)
        self._base = replace(self._base, trimmed=self.trimmed)
        self._ring()

    def note(self, data: bytes) -> None:
        """Replace ``info.note``, whether the stream has ended or not."""
        self._number = self._shared.store.write(Note(self.generation, data))
        self._base = replace(self._base, note=data)

    def alias(self, name: str) -> None:
        """Have it known by a further name; whoever had that loses it."""
        self._number = self._shared.store.write(Alias(self.generation, name))

    # --- writing --------------------------------------------------------------------------

    def feed(self, records: Records) -> None:
        """Append by the stream's own source: shown at once.

        Each record is a type and its data. The caller looks at ``congested`` afterwards.
        """
        if self.state is not State.FED:  # which this leaves as it is
            self.state = after(self.state, Action.FEED)
        events, size = self._make(records)
        self._number = self._shared.store.write(make_append(self.generation, events))
        self.visible = self._last_seq
        self._size += size
        self._ring()

    def end(self, kind: EndingKind, reason: str = "", code: EndingCode = EndingCode.NONE) -> None:
        """Write the one terminal record; by the stream's own source."""
        self.state = after(self.state, Action.END)
        self.source = None
        reason = well_formed(reason)
        ending = Ending(kind, reason, self._last_seq + 1, self._shared.wall(), code)
        self._store_ending(ending)
        self._show(self._last_seq, 0, ending)

    def _store_ending(self, ending: Ending) -> bool:
        """Whether the store has the stream, and had no ending of it."""
        try:
            self._number = self._shared.store.write(Append(self.generation, (), ending))
        except NotFound:
            self.lost = True
            return False
        except StreamIsClosed:
            return False
        return True

    def lose(self) -> None:
        """The store has refused changes of it, so it cannot be kept as it was shown: it fails."""
        if self.source is not None:
            self.source.stop(EndingKind.FAILED, STORAGE)
            return
        if self.state is State.GONE:
            return
        seq = self.ending.seq if self.ending else self._last_seq + 1
        ending = Ending(EndingKind.FAILED, STORAGE, seq, self._shared.wall())
        if not self._store_ending(ending) and self.state is State.CLOSED:
            return  # it had ended before, and what was refused was not its events
        self.state = State.CLOSED
        self.ending = ending
        self._ring()

    async def append(
        self,
        records: Records,
        *,
        close: bool = False,
        ending: tuple[EndingKind, str] = (EndingKind.COMPLETED, ""),
        claim: Claim | None = None,
        writer_seq: str = "",
    ) -> Appended:
        """Append by a client, and perhaps close with ``ending``; returns once durable and shown.

        ``claim`` is what a request says of its producer, ``writer_seq`` its Stream-Seq.

        Raises what ``AppendWish`` may be refused with, StoreOverloaded, StoreFull or
        StoreUnavailable; of the last two, what was to be appended may yet appear.
        """
        if claim is not None or writer_seq:
            await self._ledger.load(self._shared.store, self.generation)
        refusal: RequestError | None = None
        try:
            wish = AppendWish(not records, close, claim, writer_seq)
            producer = self._ledger.judge(self.state, wish, self._shared.max_producers)
        except RequestError as error:
            refusal = error
        if refusal is not None:
            await self.committed()
            try:
                raise refusal
            finally:
                refusal = None  # a frame that keeps what it raised keeps its records, too
        closed_already = self.state is State.CLOSED and close and not records
        duplicate = producer is not None or closed_already
        if not duplicate:
            producer = claim and Producer(claim.id, claim.epoch, claim.seq, close)
            self._write(records, ending if close else None, producer, writer_seq)
        await self.committed()
        return Appended(duplicate, producer, self.info.tail)

    def _write(
        self,
        records: Records,
        end: tuple[EndingKind, str] | None,
        producer: Producer | None,
        writer_seq: str,
    ) -> None:
        """Give it to the store; it is shown when it is durable."""
        refuse_if_unwell(self._shared.store)
        events, size = self._make(records)
        ending = None
        if end is not None:
            reason = well_formed(end[1])
            ending = Ending(end[0], reason, self._last_seq + 1, self._shared.wall())
            self.state = State.CLOSED
        change = Append(self.generation, events, ending, producer, writer_seq)
        self._number = self._shared.store.write(change)
        self._ledger.enter(producer, writer_seq)
        last = self._last_seq
        self._shared.commits.expect(self._number, lambda: self._show(last, size, ending))

    @property
    def congested(self) -> bool:
        """Whether the source ought to pause until its last change is committed."""
        return self._shared.store.health().congested

    async def committed(self) -> None:
        """Wait until all that happened here until now is durable.

        Raises StoreFull or StoreUnavailable.
        """
        await self._shared.commits.durable(self._number)

    def _make(self, records: Records) -> tuple[list[Event], int]:
        """Number them and put them into the window; the events, and their bytes of data."""
        events, size = self._window.number(records, self._last_seq, self._shared.wall())
        self._last_seq += len(events)
        return events, size

    def _show(self, last: int, size: int, ending: Ending | None) -> None:
        self.visible = max(self.visible, last)
        self._size += size
        self.ending = self.ending or ending
        self._ring()

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
        self.viewers += 1
        self._shared.heartbeats.add(cursor)
        self.again(cursor)

    def detach(self, cursor: Cursor) -> None:
        """It reads no more."""
        if cursor not in self._cursors:
            return
        del self._cursors[cursor]
        self._waiting.pop(cursor, None)
        self._shared.heartbeats.discard(cursor)
        source = self.source
        if source is not None and not self._cursors:
            source.unwatched()

    def read(self, place: int, size: int, count: int) -> list[Event] | None:
        """Visible events after ``place``; empty at the end; None: behind the window, fetch().

        Never past the end of an ancestor's part: the next read goes on in the next.
        """
        if place >= self.visible or self.state is State.GONE:
            return []
        base = self._base
        place = max(place, base.trimmed)
        if base.ancestry and place < base.inherited:
            part = forking.part(base, place)
            room = min(count, part.seq - place)
            return self._shared.history.read(part.generation, place, size, room)
        room = min(count, self.visible - place)
        events = self._window.read(place, size, room)
        if events is None:
            events = self._shared.history.read(self.generation, place, size, room)
        return events

    def is_last(self, seq: int) -> bool:
        """Whether nothing will ever follow event ``seq`` in what is encoded together with it."""
        if self.ending is not None and seq >= self.visible:
            return True
        ancestry = self._base.ancestry
        return bool(ancestry) and any(ancestor.seq == seq for ancestor in ancestry)

    def fetch(self, place: int, cursor: Cursor | Fetch) -> None:
        """Have what comes after ``place`` read from the store."""
        place = max(place, self.trimmed)
        self._shared.history.request(forking.part(self._base, place).generation, place, cursor)

    async def changed(self, place: int) -> None:
        """Wait until there is something after ``place``, or the stream has ended, or is gone."""
        while place >= self.visible and self.ending is None and self.state is not State.GONE:
            await self._watchers.wait()

    def encode(self, view: View, events: list[Event]) -> bytes:
        """Encode, sharing with the stream's other cursors and with the next slice."""
        large = len(events) == 1 and len(events[0].data) > LARGE
        maker = self._maker(events[0].seq)
        if not large and len(self._cursors) <= 1:
            return view.encode(maker, events)
        return self._shared.encodings.encode(view, maker, events)

    def part(self, view: View, event: Event, place: int) -> Part | None:
        """``View.part``, shared with the stream's other cursors."""
        if len(self._cursors) <= 1:
            return view.part(self._maker(event.seq), event, place)
        return self._shared.encodings.part(view, self._maker(event.seq), event, place)

    def _maker(self, seq: int) -> str:
        """The generation that made an event, which is an ancestor's in a fork's first part."""
        return self._base.offset(seq).generation if self._base.ancestry else self.generation

    def next_piece(self, view: View, name: str, place: int) -> Piece | None:
        """What follows ``place``, if it was made for another cursor since the stream changed, or
        is in the window, is one slice, and the view (of this name) is eventwise.

        None where there is more to it.
        """
        piece = self._pieces.get(name, place)
        if piece is not None:
            return piece
        if place >= self.visible or place < self.trimmed or self.state is State.GONE:
            return None
        events = self._window.read(place, READ, min(COUNT, self.visible - place))
        if events is None or not view.eventwise or len(events[0].data) > LARGE:
            return None
        data = view.encode(self.generation, events)
        if not 0 < len(data) <= SLICE:
            return None
        piece = make_piece((data, events[-1].seq))
        self.share(name, place, piece)
        return piece

    def share(self, name: str, place: int, piece: Piece) -> None:
        """Others, where there are others, may write this, too, until the stream changes."""
        if len(self._cursors) > 1:
            self._pieces.put(name, place, piece)

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
        self._pieces.clear()
        if self._watchers.count:
            self._watchers.wake()
        if self._waiting:
            self._due.extend(self._waiting)
            self._waiting.clear()
        if self._due:
            self._shared.bell.ring(self)
