"""The rules of stores that concern changes which cannot be kept: they harm no others.

Part of ``StoreContract``; inherit that.
"""

# ruff: noqa: S101 - assertions are what a test kit is made of

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from tailrace.contracts import Alias, Append, Change, Create, Note, Renew, Store
from tailrace.errors import BadRequest, StoreRefused
from tailrace.model import Ending, EndingKind, Event, Producer, StreamInfo
from tailrace.testing.store_model import Maker, read_all, settle
from tailrace.testing.store_scenario import DEADLINE_SECONDS, Check, StoreMaker, lasting

# Half of a surrogate pair, as JSON can spell it. Made so, because source files are UTF-8.
LONE = chr(0xD800)
ERRORS: tuple[type[Exception], ...] = (ValueError, MemoryError, RuntimeError)
# No store looks at a text more often than this for one commit.
_MOST_STEPS = 40


class Fuse:
    """Raises ``error`` whenever it is touched, once it was touched ``steps`` times without."""

    def __init__(self, error: type[Exception], steps: int) -> None:
        self._error = error
        self._left = steps
        self.blown = False

    def touch(self) -> None:
        if self._left == 0:
            self.blown = True
            raise self._error("a text that cannot be written")
        self._left -= 1


class Trap(str):
    """A text whose fuse is touched by whoever encodes it, or binds it to a statement."""

    fuse: Fuse

    def __new__(cls, text: str, fuse: Fuse) -> Trap:
        made = super().__new__(cls, text)
        made.fuse = fuse
        return made

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        self.fuse.touch()
        return super().encode(encoding, errors)

    def __conform__(self, protocol: object) -> str:
        self.fuse.touch()
        return str.__str__(self)


@dataclass(frozen=True)
class TextPlace:
    """Where a text may be in a change; ``make`` puts one there."""

    name: str
    make: Callable[[Maker, StreamInfo, str], Change]


def _info(maker: Maker, **fields: str) -> Create:
    return Create(replace(maker.create("new").info, **fields))  # type: ignore[arg-type]


def _event(maker: Maker, info: StreamInfo, *kinds: str) -> Append:
    append = maker.append(info.generation, *[b"x"] * len(kinds))
    events = [
        Event(e.seq, e.time, kind, e.data) for e, kind in zip(append.events, kinds, strict=True)
    ]
    return append._replace(events=events)


def _ended(maker: Maker, info: StreamInfo, reason: str) -> Append:
    append = maker.append(info.generation, b"x", ending=EndingKind.FAILED)
    assert append.ending is not None
    return append._replace(ending=Ending(EndingKind.FAILED, reason, append.ending.seq, 5))


PLACES = (
    TextPlace("type", _event),
    TextPlace("second type", lambda maker, info, text: _event(maker, info, "data", text)),
    TextPlace("reason", _ended),
    TextPlace(
        "producer",
        lambda maker, info, text: maker.append(info.generation, b"x")._replace(
            producer=Producer(text, 0, 0)
        ),
    ),
    TextPlace(
        "writer_seq",
        lambda maker, info, text: maker.append(info.generation, b"x")._replace(writer_seq=text),
    ),
    TextPlace("alias", lambda _, info, text: Alias(info.generation, text)),
    TextPlace("name", lambda maker, _, text: _info(maker, name=text)),
    TextPlace("content type", lambda maker, _, text: _info(maker, content_type=text)),
    TextPlace("source", lambda maker, _, text: _info(maker, source=text)),
    TextPlace("fork", lambda maker, _, text: _info(maker, forked_from=text)),
)


class RefusalRules(StoreMaker):
    """Inherited by ``StoreContract``."""

    @lasting
    async def test_text_that_utf_8_cannot_say_is_refused_before_it_is_queued(
        self, store: Store
    ) -> Check:
        maker = Maker()
        create = maker.born(maker.create("s"), b"1")
        await settle(store, create)
        too_large: list[Change] = [
            Renew(create.info.generation, 1 << 63),
            Create(replace(maker.create("new").info, ttl=1 << 80)),
        ]
        bad: list[Change] = [place.make(maker, create.info, f"a{LONE}b") for place in PLACES]
        for change in (*bad, *too_large):
            try:
                store.write(change)
            except BadRequest as error:
                assert LONE not in str(error)
                continue
            raise AssertionError(f"what cannot be kept was queued: {change!r}")
        await settle(store, Note(create.info.generation, b"noted"))

        async def check(store: Store) -> None:
            found = await store.list("")
            assert [(i.name, i.last_seq, i.note) for i in found.streams] == [("s", 1, b"noted")]

        return check

    def test_a_change_that_raises_at_any_step_of_a_commit_harms_no_other(self) -> None:
        async def main() -> None:
            for place in PLACES:
                await asyncio.wait_for(self._at_every_step(place), DEADLINE_SECONDS)

        asyncio.run(main())

    async def _at_every_step(self, place: TextPlace) -> None:
        store, told = self.make_store(), list[str]()
        store.on_refused(told.append)
        await store.open()
        maker = Maker()
        written: list[tuple[Create, list[Append]]] = []
        for steps, error in enumerate(itertools.cycle(ERRORS)):
            assert steps < _MOST_STEPS, f"{place.name} is looked at without end"
            fuse = Fuse(error, steps)
            text = Trap(f"größe/{steps}", fuse)
            written.append(await self._beside(store, told, maker, place, text))
            if not fuse.blown:
                break
        assert store.health().failure == ""
        await _see(store, written)
        await store.close()
        if self.persistent:
            store = self.reopen(store)
            await store.open()
            await _see(store, written)
            await store.close()

    @staticmethod
    async def _beside(
        store: Store, told: list[str], maker: Maker, place: TextPlace, text: Trap
    ) -> tuple[Create, list[Append]]:
        """One such change among those of others, all in one commit; what the others wrote."""
        other, victim = maker.create(f"other/{text}"), maker.create(f"victim/{text}")
        first = maker.append(victim.info.generation, b"before")
        await settle(store, other, victim, first)
        generation = other.info.generation
        numbers = [store.write(appends := maker.append(generation, b"1", b"2"))]
        wrote = [appends]
        before = await store.find(victim.info.name)
        change = place.make(maker, victim.info, text)
        refused = ""
        number = 0
        try:
            number = store.write(change)
        except tuple(ERRORS):
            refused = "by write"
        wrote.append(maker.append(generation, b"3"))
        numbers.append(store.write(wrote[-1]))
        # The last to be waited for, so that what is durable covers all.
        await asyncio.gather(*map(store.committed, numbers))
        if number:
            try:
                await store.committed(number)
            except StoreRefused:
                refused = "by commit"
        # A fuse may also blow when the store moves what is durable already.
        assert not refused or text.fuse.blown, (place.name, text)
        made = change.info.generation if isinstance(change, Create) else ""
        if refused:
            assert await store.find(victim.info.name) == before
            assert await read_all(store, victim.info.generation) == first.events
            assert not made or all(i.generation != made for i in (await store.list("")).streams)
        if refused == "by commit":
            assert told.pop() == (made or victim.info.generation)
        assert not told
        return other, wrote


async def _see(store: Store, written: list[tuple[Create, list[Append]]]) -> None:
    for create, appends in written:
        events = [event for append in appends for event in append.events]
        assert await read_all(store, create.info.generation) == events
