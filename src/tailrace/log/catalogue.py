"""The names: which streams there are, making them, finding them, and letting them go.

A stream is in memory while something in this process needs it (a source, a cursor, an append
under way) and in the store always, so the catalogue's memory grows with what is going on and
not with what was kept.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final
from weakref import WeakValueDictionary

from tailrace.contracts import Append, Create, Delete, Listing, Marker, Sink, Source, Trim, View
from tailrace.errors import NotFound, StreamDeleted, StreamExists, TooMany
from tailrace.log import forking
from tailrace.log.cursor import Cursor
from tailrace.log.expiry import first_deadline
from tailrace.log.lifecycle import Action, Recover, State, after, interrupted
from tailrace.log.machinery import Machinery, refuse_if_unwell
from tailrace.log.making import Forking, Making, Records, differs, is_same_fork, made
from tailrace.log.merging import Merges
from tailrace.log.places import anchor, place
from tailrace.log.reading import read_range
from tailrace.log.retention import Retention
from tailrace.log.stream import Stream
from tailrace.model import RANDOM_BITS, EndingKind, StreamInfo, mint_generation
from tailrace.wire.media_type import is_json

_random_bits: Final = partial(random.SystemRandom().getrandbits, RANDOM_BITS)


class _LiveStream(Stream):  # type: ignore[misc]  # final: this overrides nothing
    """One that can be referred to weakly, which a class that mypyc compiled cannot by itself."""


class Catalogue:
    """All streams of one store."""

    def __init__(
        self,
        shared: Machinery,
        *,
        patience: float,
        recover: Mapping[str, Recover] = MappingProxyType({}),
        owner: str = "",
        random_bits: Callable[[], int] = _random_bits,
    ) -> None:
        """``recover``: by kind of source, what becomes of a stream whose source died with its
        process; of other kinds it ends ``interrupted``. ``owner``: this catalogue's name, which
        no other catalogue on the same store has."""
        self._owner = owner
        self._shared = shared
        self._recover = recover
        self.patience: Final = patience
        """Seconds that a reader may take nothing."""
        self._random_bits = random_bits
        self._latest_generation = ""
        self._count = 0
        # Weak: a stream is kept by what needs it (its source, a cursor, an append under way).
        self.in_memory: Final[WeakValueDictionary[str, Stream]] = WeakValueDictionary()
        """By name."""
        # Making waits for answers of the store: of one name, one at a time, lest two be made.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.merges: Final = Merges(shared.heartbeats, shared.clock, patience)
        """Of several streams into one body each."""
        self.retention: Final = Retention(
            shared, lambda info: self.in_memory.get(info.name) or self._admit(info), self._erase
        )

    async def open(self) -> None:
        """Open the store; end our own streams whose sources died with their process.

        Raises StoreLocked, StoreTooNew or StoreCorrupt.
        """
        store = self._shared.store
        store.on_refused(self._lose)
        number = 0
        for info in await store.open():
            if info.owner != self._owner:
                continue  # somebody else runs its source, and is alive for all we know
            ending = self._recover.get(info.source, interrupted)(info, self._shared.wall())
            if ending is not None:
                number = store.write(Append(info.generation, (), ending))
        listing = await store.list("", limit=1)
        self._count = listing.total_streams or 0
        self._latest_generation = listing.streams[0].generation if listing.streams else ""
        if number:
            await store.committed(number)
        await self.retention.open()

    # --- making and finding ---------------------------------------------------------------

    def mint(self) -> str:
        """A generation later than all before it. Its random part cannot be guessed."""
        self._latest_generation = mint_generation(
            self._shared.wall(), self._latest_generation, self._random_bits()
        )
        return self._latest_generation

    def create_secret(self, prefix: str, content_type: str, source: str) -> Stream:
        """Make a stream whose name, ``prefix`` and a generation, is known to whom it is told."""
        generation = self.mint()
        now = self._shared.wall()
        info = StreamInfo(
            prefix + generation, generation, content_type, now, source, owner=self._owner
        )
        return self._admit(info, self._shared.store.write(Create(info)))

    async def create(
        self, name: str, content_type: str, source: str = "", *, ttl: int | None = None
    ) -> Stream:
        """Make a stream of that name. Raises StreamExists where there is one."""
        async with self._turn(name):
            if await self._find_for_making(name) is not None:
                raise StreamExists("There is a stream of this name already; choose another name.")
            info = self._described(name, Making(content_type, ttl))
            if source:
                info = replace(info, source=source, owner=self._owner)
            return self._admit(info, self._shared.store.write(Create(info)))

    async def put(self, name: str, making: Making, records: Records = ()) -> tuple[Stream, bool]:
        """The stream of that name, made with ``records`` if there is none; whether it was made.

        Durable on return. Raises StreamExists where there is one that was made otherwise,
        TooMany, or StoreError.
        """
        async with self._turn(name):
            stream = await self._find_for_making(name)
            if stream is None:
                info = self._described(name, making)
                return await self._make(info, records, close=making.close), True
        await stream.committed()
        if stream.info.forked_from or differs(stream.info, making, closed=_is_closed(stream)):
            raise StreamExists("There is a stream of this name, and it was made otherwise.")
        return stream, False

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    async def fork(self, name: str, wish: Forking, records: Records = ()) -> tuple[Stream, bool]:
        """As ``put``, for a stream that begins with what another has up to a place.

        Raises NotFound, StreamExists, ContentTypeMismatch, BadRequest or StoreError.
        """
        parent = await self._source_of(wish.source)
        making = wish.inherit(parent.info)
        await parent.committed()
        place = anchor(parent, wish.anchor)
        async with self._turn(name):
            existing = await self._find_for_making(name)
            if existing is None:
                return await self._make_fork(name, parent, wish, records), True
        await existing.committed()
        if not is_same_fork(existing.info, parent.info, wish, place) or differs(
            existing.info, making, closed=_is_closed(existing)
        ):
            raise StreamExists("There is a stream of this name, and it was made otherwise.")
        return existing, False

    async def _make_fork(
        self, name: str, parent: Stream, wish: Forking, records: Records
    ) -> Stream:
        place = anchor(parent, wish.anchor)
        taking = forking.Taking(wish.sub_offset, messages=is_json(parent.content_type))
        taken = await forking.taken(partial(read_range, parent), place, taking)
        if parent.state is State.GONE:
            raise NotFound("The stream to be forked was deleted meanwhile.")
        info = replace(
            self._described(name, wish.inherit(parent.info)),
            last_seq=place,
            ancestry=forking.ancestry(parent.info, place),
            forked_from=wish.source,
            sub_offset=wish.sub_offset,
        )
        return await self._make(info, [*taken, *records], close=wish.close)

    async def _source_of(self, name: str) -> Stream:
        try:
            return await self.get(name)
        except StreamDeleted:
            raise StreamExists("The stream to be forked was deleted.") from None

    def _described(self, name: str, making: Making) -> StreamInfo:
        if self._count >= self._shared.max_streams:
            raise TooMany("There are as many streams as there may be; delete some.")
        now = self._shared.wall()
        deadline = first_deadline(making.ttl, making.expires_at, now)
        self.retention.expect(deadline)
        return StreamInfo(
            name,
            self.mint(),
            making.content_type,
            now,
            ttl=making.ttl,
            expires_at=making.expires_at,
            deadline=deadline,
        )

    async def _make(self, info: StreamInfo, records: Records, *, close: bool) -> Stream:
        refuse_if_unwell(self._shared.store)
        events, ending = made(info, records, close=close)
        number = self._shared.store.write(Create(info, events, ending))
        grown = info.grown(len(events), sum(len(event.data) for event in events))
        stream = self._admit(replace(grown, ending=ending), number)
        await stream.committed()
        return stream

    async def get(self, name: str) -> Stream:
        """The stream of that name; never one that could still be lost.

        Raises NotFound, StreamDeleted, or StoreError.
        """
        return await self._kept(await self._find(name))

    async def known_as(self, name: str) -> Stream:
        """As ``get``, where a further name will do, too; a stream's own name goes before it."""
        return await self._kept(await self._find(name, further=True))

    async def _kept(self, stream: Stream | None) -> Stream:
        if stream is None:
            raise NotFound("There is no stream of this name; it may have been deleted.")
        if not stream.source_kind:
            await self._shared.commits.durable(stream.born)
        return stream

    def alias(self, stream: Stream, name: str) -> None:
        """Have it known as ``name``, too; durable once ``stream.committed()`` has returned."""
        stream.alias(name)

    async def _find_for_making(self, name: str) -> Stream | None:
        try:
            return await self._find(name)
        except StreamDeleted as error:
            raise StreamExists(str(error)) from None

    async def _find(self, name: str, *, further: bool = False) -> Stream | None:
        """Raises StreamDeleted where forks keep it. ``further``: a further name will do, too."""
        stream = self.in_memory.get(name)
        if stream is None:
            info = await self._shared.store.find(name)
            if info is not None and info.name != name and not further:
                info = None
            # Another request may have brought it into memory meanwhile.
            stream = self.in_memory.get(name if info is None else info.name)
            if stream is None:
                if info is None:
                    return None
                if info.deleted:
                    raise StreamDeleted("This stream was deleted, and forks of it still exist.")
                stream = self._admit(info)
            elif info and info.name != name and info.generation != stream.generation:
                return None  # it went meanwhile, and its own name is another stream's by now
        if self.retention.is_over(stream):
            self._discard(stream)
            return await self._find(name, further=further)  # forks may keep it
        return stream

    def _admit(self, info: StreamInfo, number: int = 0) -> Stream:
        stream = _LiveStream(info, self._shared, number)
        self._count += 1 if number else 0
        self.in_memory[stream.name] = stream
        return stream

    def refuse_if_unwell(self) -> None:
        """Raises StoreFull, StoreUnavailable or StoreOverloaded where a new stream would wait."""
        refuse_if_unwell(self._shared.store)

    async def page(self, prefix: str, *, before: str = "", limit: int = 100) -> Listing:
        """One page of the streams whose names begin with ``prefix``, newest first."""
        return await self._shared.store.list(prefix, before=before, limit=limit)

    # --- reading --------------------------------------------------------------------------

    place = staticmethod(place)

    def touch(self, stream: Stream) -> None:
        """It is read or written: where it has a TTL, that begins anew."""
        self.retention.touch(stream)

    def follow(
        self, stream: Stream, view: View, sink: Sink, seq: int, marker: Marker | None = None
    ) -> Cursor:
        """A new cursor on ``stream``, placed after event ``seq``, not pumped yet.

        ``stream.attach(cursor)`` sets it going. ``marker``: what the view says to it alone.
        """
        shared = self._shared
        return Cursor(
            stream,
            view,
            sink,
            seq,
            clock=shared.clock,
            heartbeat=shared.heartbeats.period,
            patience=self.patience,
            on_done=lambda cursor: cursor.stream.detach(cursor),
            marker=marker,
        )

    # --- letting go -----------------------------------------------------------------------

    def stop(self, stream: Stream, kind: EndingKind, reason: str) -> None:
        """Have the stream's source stop now and end it so; nothing where there is no source."""
        source: Source | None = stream.source
        if source is not None:
            source.stop(kind, reason)

    async def delete(self, name: str) -> None:
        """Erase it, stop its source, tell its readers, forget it.

        Raises NotFound, or StoreError: then nothing has happened to it.
        """
        await self._erase([await self.get(name)])

    async def _erase(self, streams: Sequence[Stream]) -> None:
        def let_go() -> None:
            for stream in streams:
                if self.in_memory.get(stream.name) is stream:
                    self._let_go(stream)

        await self._shared.store.delete([stream.generation for stream in streams], let_go)

    def drop(self, stream: Stream) -> None:
        """As ``delete``, without waiting; nothing where that was done before."""
        if stream.state is not State.GONE:
            self._discard(stream)

    async def trim(self, stream: Stream, seq: int) -> None:
        """Keep nothing up to event ``seq``, as far as that can be seen now. Raises StoreError."""
        seq = min(seq, stream.visible)
        if seq <= stream.trimmed:
            return
        number = self._shared.store.write(Trim(stream.generation, seq))
        stream.trim(seq)
        self._shared.history.forget(stream.generation)
        await self._shared.commits.durable(number)

    def _discard(self, stream: Stream) -> None:
        after(stream.state, Action.DELETE)
        self._let_go(stream)
        self._shared.store.write(Delete(stream.generation))

    def _let_go(self, stream: Stream) -> None:
        self.stop(stream, EndingKind.CANCELLED, "The stream was deleted.")
        if stream.state is not State.GONE:
            stream.expire()
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        """The store has it no more."""
        self._count -= 1
        self.retention.forget(stream.generation)
        if self.in_memory.get(stream.name) is stream:
            del self.in_memory[stream.name]
        self._shared.history.forget(stream.generation)

    def _lose(self, generation: str) -> None:
        """The store has refused changes of that stream."""
        for stream in list(self.in_memory.values()):
            if stream.generation != generation:
                continue
            stream.lose()
            if stream.lost:
                self._forget(stream)

    # --- the end of the process -------------------------------------------------------------

    def end_sources(self, kind: EndingKind, reason: str) -> None:
        """End every stream that a source fills."""
        for stream in list(self.in_memory.values()):
            self.stop(stream, kind, reason)

    def send_off(self, retry: Callable[[], int]) -> None:
        """Let every reader go; ``retry`` gives each the milliseconds after which to come back."""
        self.merges.send_off(retry)
        for stream in list(self.in_memory.values()):
            for cursor in list(stream.cursors):
                cursor.leave(retry())

    async def close(self) -> None:
        """Flush and close the store."""
        self._shared.heartbeats.close()
        await self.retention.close()
        await self._shared.history.close()
        await self._shared.store.close()
        await self._shared.commits.close()


def _is_closed(stream: Stream) -> bool:
    return stream.state is State.CLOSED
