"""The seams of a stream: Store, View, Sink, Source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeAlias

from tailrace.model import Ending, EndingKind, Event, Offset, Producer, StreamInfo

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""HTTP fields in the order they came; names in lower case."""


# --- Store: where a stream's events live ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Create:
    """Make a stream, with its first events and perhaps its ending: all or nothing.

    Its name is not that of any stream the store has. ``info`` describes it without ``events``
    and ``ending``; for a fork, ``info.last_seq`` is ``info.inherited``.
    """

    info: StreamInfo
    events: Sequence[Event] = ()
    ending: Ending | None = None


class Append(NamedTuple):
    """Add events, numbered on from the stream's last, and perhaps its ending, and what its
    writers' state becomes: all or nothing. A tuple, because one is made for every token.
    """

    generation: str
    events: Sequence[Event]
    ending: Ending | None = None
    producer: Producer | None = None
    """Replaces what was known of the producer of this id."""
    writer_seq: str = ""
    """Replaces the last ``Stream-Seq``; empty: there was none."""


def make_append(generation: str, events: Sequence[Event]) -> Append:
    """``Append(generation, events)`` without the Python function that a named tuple is made by."""
    return _new_append((generation, events, None, None, ""))


_new_append: Final[Callable[[tuple[object, ...]], Append]] = partial(tuple.__new__, Append)


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget a stream and erase its bytes; later, where other streams have it as an ancestor.

    Until the last of those has gone too, its events can still be read and ``find`` has it,
    marked ``deleted``; it is in no listing. A deleted stream that nobody needs any more is
    erased in the same step as the last that needed it.
    """

    generation: str


@dataclass(frozen=True, slots=True)
class Renew:
    """Set a stream's ``deadline``. Nothing where there is no such stream."""

    generation: str
    deadline: int


@dataclass(frozen=True, slots=True)
class Trim:
    """Keep no events up to number ``seq``, which is one that the stream has (or had).

    Reads after an earlier place find what is kept, from there on; forks lose those events, too.
    Bytes go when the store sees fit, and at the latest with the stream. Nothing where there is
    no such stream.
    """

    generation: str
    seq: int


@dataclass(frozen=True, slots=True)
class Alias:
    """Give a stream a further name, by which ``find`` has it, too.

    A further name belongs to one stream: it is taken from the one that had it before, and goes
    with its stream. It is in no listing, and a stream's own name goes before it. Nothing where
    there is no such stream.
    """

    generation: str
    name: str


@dataclass(frozen=True, slots=True)
class Note:
    """Replace what is noted of a stream (``StreamInfo.note``), whether it has ended or not.

    Nothing where there is no such stream.
    """

    generation: str
    data: bytes


Change: TypeAlias = Create | Append | Delete | Renew | Trim | Alias | Note


class Writers(NamedTuple):
    """What a stream remembers of those who append to it."""

    writer_seq: str = ""
    """The last ``Stream-Seq``; empty: there was none."""
    producers: tuple[Producer, ...] = ()
    """In no order; each id once."""


class Listing(NamedTuple):
    """One page of streams, and what the whole prefix amounts to."""

    streams: list[StreamInfo]
    total_streams: int | None
    """None where only counting all would tell; known for the empty prefix and for a folder."""
    total_size: int | None
    looked_to: str = ""
    """Where to go on (``before``), if the page is short although more may follow; else empty."""


class StoreHealth(NamedTuple):
    """How the store fares. ``failure`` is empty while writes succeed."""

    uncommitted: int
    """Bytes accepted by ``write`` and not durable yet."""
    congested: bool
    """More is uncommitted than may be: sources pause, appends are refused."""
    failure: str = ""
    """Why the last commit failed, fit to be shown to anyone; the store is trying to reopen."""
    full: bool = False
    """The failure is a want of space."""


class Store(Protocol):
    """Keeps streams, durable or not, in the order in which changes were given to it.

    *Writing* is two steps, so that an event costs no future of its own: ``write`` takes a
    change into the queue and numbers it; ``committed`` waits until that number is durable.
    Reads and finds see a change from the moment ``write`` returned: whether it may be *shown*
    before it is durable is the stream's decision, not the store's.

    *Failure*: when the medium fails, ``health`` says so, every waiting ``committed`` raises, and
    the store reopens the medium by itself, then commits what it still holds in memory, once. A
    change that cannot be kept though the medium is well is refused, and no other is harmed by it.
    """

    async def open(self) -> list[StreamInfo]:
        """Open the medium and recover; return the streams that have a source and no ending,
        whoever their owners are.

        Raises StoreLocked, StoreTooNew or StoreCorrupt, with the medium untouched.
        """
        ...

    def on_refused(self, tell: Callable[[str], None]) -> None:
        """Call ``tell`` with a stream's generation as soon as changes of it are refused.

        A change is refused where it cannot be kept although the medium is well. All changes of
        its stream that are not durable are refused with it, so the stream is as it was when it
        was last durable; it is not there where its making was among them. Others' changes are
        kept. To be said once, before ``open``.
        """
        ...

    async def close(self) -> None:
        """Commit what waits, as far as the medium lets us, and release everything."""
        ...

    def write(self, change: Change) -> int:
        """Queue a change; return its number. Never blocks, never raises for want of space.

        Raises BadRequest for what no store can keep (text that UTF-8 cannot say, numbers of more
        than 64 bits), NotFound or StreamIsClosed for an Append to a stream that is not open. What
        raises has changed nothing.
        """
        ...

    async def delete(self, generations: Sequence[str], then: Callable[[], None]) -> None:
        """Delete streams ahead of all changes that wait; durable on return.

        Works on a full medium, where the medium lets it, since a delete makes room. Until it is
        durable the streams can be read and written as before. At that moment ``then`` is called,
        and when it returns they are gone as by ``Delete``; both in one turn of the event loop,
        whether or not the caller still waits. ``then`` must not raise.

        generations: of streams, deleted together or not at all; one that is not there is passed
            over. One that forks need is kept for them, out of sight.

        Raises StoreFull or StoreUnavailable: then nothing has happened, and nothing will.
        """
        ...

    async def committed(self, number: int) -> None:
        """Return when that change is durable, and hurry the commit that covers it.

        Raises StoreFull or StoreUnavailable where the medium failed; the change may still
        become durable later, when that has been reopened. Raises StoreRefused where it never will.
        """
        ...

    async def read(self, generation: str, after: int, limit: int) -> list[Event]:
        """Events with ``seq > after`` in order: at least one if there is any, then as many as
        fit into ``limit`` bytes of data. A store may return fewer than fit; empty means that
        there is none.

        Raises NotFound for a stream the store does not have, StoreUnavailable if it cannot read.
        """
        ...

    async def find(self, name: str) -> StreamInfo | None:
        """The stream of that name, be it ``deleted``; else the one whose further name it is."""
        ...

    async def writers(self, generation: str) -> Writers:
        """What the stream remembers of those who append to it, the latest changes included.

        Raises NotFound for a stream the store does not have, StoreUnavailable if it cannot read.
        """
        ...

    async def list(
        self,
        prefix: str,
        *,
        before: str = "",
        limit: int = 100,
        oldest_closed: bool = False,
        due: int | None = None,
    ) -> Listing:
        """Streams whose names begin with ``prefix``, newest generation first; none ``deleted``.

        A page costs the same however many streams there are. It is whole for the empty prefix,
        for a folder (a name's first segment with its slash, such as ``chat/``), and for a prefix
        of at most 500 streams; for any other it may be short and say ``looked_to``.
        ``before``: only generations smaller than this one (the page's end of the one before).
        ``oldest_closed``: instead, closed streams only, the longest closed first.
        ``due``: instead, streams whose ``deadline`` is at or before this time, earliest first.
        """
        ...

    def health(self) -> StoreHealth:
        """How the store fares at this moment; cheap enough to be asked for every event."""
        ...


# --- View: events to bytes --------------------------------------------------------------------


class Closing(NamedTuple):
    """How a view says that a stream has ended."""

    data: bytes
    whole: bool
    """False: leave out the last HTTP chunk, so that the client's library reports a cut body."""


Part: TypeAlias = tuple[bytes, int]
"""Some of an event's encoding, which may be empty, and the place where the next part begins;
LAST_PART where there is none."""

LAST_PART: Final = -1


class View(Protocol):
    """A pure rendering. Equal arguments give equal bytes: encodings are shared and remade."""

    @property
    def name(self) -> str:
        """What stands in ``?view=``; part of the key under which encodings are shared."""
        ...

    @property
    def media_type(self) -> bytes:
        """The Content-Type of a response in this view."""
        ...

    @property
    def heartbeat(self) -> bytes:
        """What may be sent between any two encodings; empty where a view has no room for it."""
        ...

    @property
    def eventwise(self) -> bool:
        """Whether an encoding may stop after any event; ``whole`` need not be asked then."""
        ...

    def whole(self, events: Sequence[Event], *, fewest: bool, last: bool) -> int:
        """How many of these consecutive events may be encoded, so that the next encoding can
        begin after them: as many as possible, or with ``fewest`` as few as possible.

        0: not without the event that follows. ``last``: none will ever follow, so not 0 then.
        Events are never empty. Nearly every view may stop after any event; not so a text one,
        of a text that was cut within a character.
        """
        ...

    def encode(self, generation: str, events: Sequence[Event]) -> bytes:
        """Consecutive events of one stream, of which ``whole`` says that they may be encoded."""
        ...

    def part(self, generation: str, event: Event, place: int) -> Part | None:
        """Encode some of one large event, from ``place`` in it on; 0 is its beginning.

        All parts together are what ``encode`` gives for the event alone. A part costs little,
        however large the event is: readers that are within one hold a place and no bytes.
        None: the view can encode this event only as a whole, whatever the place.
        """
        ...

    def end(self, generation: str, ending: Ending) -> Closing:
        """The terminal record."""
        ...

    def farewell(self, retry: int) -> Closing:
        """The server goes away before the stream ended; come back in ``retry`` milliseconds."""
        ...


class Marker(Protocol):
    """What a view says to one reader alone: how far it has come. Never shared, never remade."""

    def mark(self, place: Offset, *, caught_up: bool, closed: bool) -> bytes:
        """Follows the encoding of the events up to ``place``.

        ``caught_up``: there is no more at this moment; ``closed``: and there never will be.
        """
        ...


# --- Sink: where a cursor's bytes go ----------------------------------------------------------


class SinkOwner(Protocol):
    """What a sink calls back: the cursor."""

    def writable(self) -> None:
        """The sink has room again."""
        ...

    def lost(self) -> None:
        """The client is gone. Nothing more may be written."""
        ...


class Sink(Protocol):
    """A client's connection, with its backpressure. No method raises."""

    def write(self, data: bytes) -> bool:
        """Take ``data`` (at most one slice). False: write no more until ``writable()``."""
        ...

    def finish(self, whole: bool) -> None:
        """End the body: cleanly, or such that the client's HTTP library reports it as cut."""
        ...


# --- Source: what fills a stream --------------------------------------------------------------


class Source(Protocol):
    """Whatever appends to a stream and, alone, ends it."""

    @property
    def kind(self) -> str:
        """What stands in the stream's info, e.g. ``relay``."""
        ...

    def stop(self, kind: EndingKind, reason: str) -> None:
        """Stop producing at once, release what it holds, and end the stream so."""
        ...

    def opened(self) -> None:
        """Somebody begins to read the stream by its own address, and may come back to it."""
        ...

    def unwatched(self) -> None:
        """The last reader has left. Must not end the stream before it returns."""
        ...
