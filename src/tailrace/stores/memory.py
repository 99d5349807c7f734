"""The memory store: everything in this process, nothing after it.

Durable means accepted here, so ``committed`` does not wait. What replaces a full disk is the
byte limit: over it the store says that it is full and congested, and refuses to acknowledge
the changes that went over; those that were accepted stay readable, and deletes relieve it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final

from mypy_extensions import mypyc_attr

from tailrace.contracts import (
    Alias,
    Append,
    Change,
    Create,
    Delete,
    Listing,
    Note,
    Renew,
    StoreHealth,
    Trim,
    Writers,
)
from tailrace.errors import NotFound, StoreFull, StreamIsClosed
from tailrace.model import Ending, Event, Producer, StreamInfo
from tailrace.stores.event_memory import EVENT_OVERHEAD, take, weight
from tailrace.stores.forks import Forks
from tailrace.stores.storable import check
from tailrace.stores.stream_index import Folder, StreamIndex

# A quarter of the smallest machine that people rent, and some thousand whole conversations.
_LIMIT: Final = 256 * 1024 * 1024
# CPython's price of an empty stream: its object, list, info, names and dict entries, rounded up.
STREAM_OVERHEAD: Final = 1500
# The same of a producer: its tuple, its id, a dict entry.
PRODUCER_OVERHEAD: Final = 400
# The same of a further name: its text, an entry in two tables.
ALIAS_OVERHEAD: Final = 400

_seq = attrgetter("seq")
_HEALTHY: Final = StoreHealth(uncommitted=0, congested=False)
_FULL_TEXT: Final = "The memory store is full; delete streams or raise its limit."
_FULL: Final = StoreHealth(uncommitted=0, congested=True, failure=_FULL_TEXT, full=True)


class _Stream:
    __slots__ = (
        "_info",
        "aliases",
        "deleted",
        "ending",
        "events",
        "folder",
        "producers",
        "size",
        "writer_seq",
    )

    def __init__(self, info: StreamInfo) -> None:
        self._info = info
        self.deleted = info.deleted
        self.folder = Folder()
        self.events: list[Event] = []
        self.size = info.size
        self.ending: Ending | None = info.ending
        self.producers: dict[str, Producer] = {}
        self.writer_seq = ""
        self.aliases: set[str] = set()

    @property
    def name(self) -> str:
        return self._info.name

    @property
    def generation(self) -> str:
        return self._info.generation

    @property
    def info(self) -> StreamInfo:
        last_seq = self.events[-1].seq if self.events else self._info.last_seq
        return replace(self._info, last_seq=last_seq, size=self.size, ending=self.ending)

    @property
    def deadline(self) -> int | None:
        return self._info.deadline

    def renew(self, deadline: int) -> None:
        """Set the time at which it expires."""
        self._info = replace(self._info, deadline=deadline)

    def trim(self, seq: int) -> list[Event]:
        """Let go of the events up to ``seq``, and return them."""
        info = self.info
        self._info = replace(info, trimmed=max(seq, info.trimmed))
        kept = bisect_right(self.events, seq, key=_seq)
        dropped = self.events[:kept]
        del self.events[:kept]
        return dropped

    def note(self, data: bytes) -> None:
        """Replace what is noted of it."""
        self._info = replace(self._info, note=data)

    def hide(self) -> None:
        """It is deleted, and stays for its forks, which need no note of it."""
        self._info = replace(self._info, deleted=True, note=b"")
        self.deleted = True

    @property
    def weight(self) -> int:
        producers = PRODUCER_OVERHEAD * len(self.producers)
        aliases = ALIAS_OVERHEAD * len(self.aliases)
        return STREAM_OVERHEAD + weight(self.events) + producers + aliases + len(self._info.note)


# Tests make stores of it that are slow or fail.
@mypyc_attr(allow_interpreted_subclasses=True)
class MemoryStore:
    """A ``contracts.Store`` without a medium.

    limit: bytes of memory for streams and events, Python's own overhead estimated in.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._used = 0
        self._number = 0
        self._accepted = 0
        """The last change that was within the limit, or was made good by deletes since."""
        self._streams: dict[str, _Stream] = {}
        self._names: dict[str, str] = {}
        self._aliases: dict[str, _Stream] = {}
        self._index: StreamIndex[_Stream] = StreamIndex()
        self._forks = Forks()

    async def open(self) -> list[StreamInfo]:
        """Return the streams that have a source and no ending; see ``Store.open``."""
        infos = [stream.info for stream in self._streams.values()]
        return [info for info in infos if info.source and info.ending is None and not info.deleted]

    def on_refused(self, tell: Callable[[str], None]) -> None:
        """Never called: what cannot be kept is refused by ``write``."""

    async def close(self) -> None:
        """Nothing to release but the memory, which goes with the object."""

    def write(self, change: Change) -> int:
        """Apply a change; see ``Store.write``.

        Raises NotFound or StreamIsClosed for an Append to a stream that is not open, BadRequest
        for what cannot be stored.
        """
        check(change)
        if isinstance(change, Append):
            self._append(change)
        elif isinstance(change, Create):
            self._create(change)
        elif isinstance(change, Delete):
            self._delete(change.generation)
        elif (stream := self._streams.get(change.generation)) is not None:
            self._adjust(stream, change)
        self._number += 1
        if self._used <= self._limit:
            self._accepted = self._number
        return self._number

    def _adjust(self, stream: _Stream, change: Renew | Trim | Alias | Note) -> None:
        if isinstance(change, Renew):
            self._index.renew(stream, change.deadline)
            stream.renew(change.deadline)
        elif isinstance(change, Trim):
            self._used -= weight(stream.trim(change.seq))
        elif stream.deleted:
            return
        elif isinstance(change, Note):
            self._used += len(change.data) - len(stream.info.note)
            stream.note(change.data)
        else:
            self._forget_alias(change.name)
            stream.aliases.add(change.name)
            self._aliases[change.name] = stream
            self._used += ALIAS_OVERHEAD

    def _forget_alias(self, name: str) -> None:
        stream = self._aliases.pop(name, None)
        if stream is not None:
            stream.aliases.discard(name)
            self._used -= ALIAS_OVERHEAD

    def _create(self, change: Create) -> None:
        info = change.info
        stream = self._streams[info.generation] = _Stream(info)
        self._names[info.name] = info.generation
        self._index.add(stream)
        self._forks.add(info.generation, info.ancestry)
        self._used += STREAM_OVERHEAD + len(info.note)
        self._append(Append(info.generation, change.events, change.ending))

    def _append(self, change: Append) -> None:
        stream = self._streams.get(change.generation)
        if stream is None or stream.deleted:
            raise NotFound("There is no such stream to append to.")
        if stream.ending is not None:
            raise StreamIsClosed("The stream is closed.")
        events = change.events
        size = 0
        for event in events:  # nearly always one: no list for it
            size += len(event.data)
        stream.events.extend(events)
        stream.size += size
        stream.folder.bytes += size
        self._index.all.bytes += size
        if change.ending is not None:
            stream.ending = change.ending
            self._index.close(stream, change.ending)
        self._used += size + EVENT_OVERHEAD * len(events)
        if change.producer is not None:
            if change.producer.id not in stream.producers:
                self._used += PRODUCER_OVERHEAD
            stream.producers[change.producer.id] = change.producer
        if change.writer_seq:
            stream.writer_seq = change.writer_seq

    def _delete(self, generation: str) -> None:
        stream = self._streams.get(generation)
        if stream is None:
            return
        for name in list(stream.aliases):
            self._forget_alias(name)
        for gone in self._forks.delete(generation):
            self._erase(gone)
        if self._forks.is_deleted(generation):
            self._used -= len(stream.info.note)
            self._index.discard(stream)
            stream.hide()

    def _erase(self, generation: str) -> None:
        stream = self._streams.pop(generation)
        self._used -= stream.weight
        self._index.discard(stream)
        if self._names.get(stream.name) == generation:
            del self._names[stream.name]

    async def delete(self, generations: Sequence[str], then: Callable[[], None]) -> None:
        """Delete streams at once; see ``Store.delete``. Raises nothing: it makes room."""
        then()
        for generation in generations:
            self.write(Delete(generation))

    async def committed(self, number: int) -> None:
        """Return at once. Raises StoreFull for a change that went over the limit."""
        if number > self._accepted:
            raise StoreFull(_FULL_TEXT)

    async def read(self, generation: str, after: int, limit: int) -> list[Event]:
        """Events after a place; see ``Store.read``."""
        events = self._find(generation).events
        return take(events, bisect_right(events, after, key=_seq), limit)

    async def find(self, name: str) -> StreamInfo | None:
        """The stream of that name; see ``Store.find``."""
        generation = self._names.get(name)
        stream = self._aliases.get(name) if generation is None else self._streams[generation]
        return None if stream is None else stream.info

    async def writers(self, generation: str) -> Writers:
        """What it remembers of those who append; see ``Store.writers``."""
        stream = self._find(generation)
        return Writers(stream.writer_seq, tuple(stream.producers.values()))

    async def list(
        self,
        prefix: str,
        *,
        before: str = "",
        limit: int = 100,
        oldest_closed: bool = False,
        due: int | None = None,
    ) -> Listing:
        """A page of streams; see ``Store.list``."""
        if due is None and not oldest_closed:
            page = self._index.newest(prefix, before, limit)
            found, totals, looked_to = page.streams, page.totals, page.looked_to
        else:
            totals, looked_to = self._index.totals(prefix), ""
            if due is not None:
                found = self._index.due(prefix, before, limit, due)
            else:
                found = self._index.longest_closed(prefix, before, limit)
        infos = [stream.info for stream in found]
        if totals is None:
            return Listing(infos, None, None, looked_to)
        return Listing(infos, totals.streams, totals.bytes, looked_to)

    def health(self) -> StoreHealth:
        """Whether there is room; see ``Store.health``."""
        return _HEALTHY if self._used <= self._limit else _FULL

    def _find(self, generation: str) -> _Stream:
        stream = self._streams.get(generation)
        if stream is None:
            raise NotFound("There is no such stream.")
        return stream
