"""A store against a dict: what a store is, if nothing could ever go wrong.

``compare`` takes a list of steps with a store and with a dict, and checks that nobody can tell
them apart: feed it what a property-testing library makes up. The helpers are shared with
``store_contract``.
"""

# ruff: noqa: S101 - assertions are what a test kit is made of

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tailrace.contracts import (
    Alias,
    Append,
    Change,
    Create,
    Delete,
    Listing,
    Note,
    Renew,
    Store,
    Trim,
    Writers,
)
from tailrace.errors import NotFound
from tailrace.model import (
    Ending,
    EndingKind,
    Event,
    Offset,
    Producer,
    StreamInfo,
    mint_generation,
)

# Larger than any test's stream.
EVERYTHING = 1 << 30


class Maker:
    """Makes changes as the log makes them: generations ascend, events are numbered on."""

    def __init__(self) -> None:
        self._generation = ""
        self._last: dict[str, int] = {}

    def resume(self, generation: str) -> None:
        """Continue after this generation, as a restarted process does."""
        self._generation = generation

    def create(self, name: str, source: str = "", content_type: str = "text/plain") -> Create:
        self._generation = mint_generation(1_700_000_000_000, self._generation, 12345)
        self._last[self._generation] = 0
        created = 1_700_000_000_000 + len(self._last)
        return Create(StreamInfo(name, self._generation, content_type, created, source))

    def fork(self, name: str, source: StreamInfo, anchor: int) -> Create:
        """A fork of ``source`` after its event ``anchor``, without events of its own."""
        info = self.create(name).info
        parts = [Offset(part.generation, min(part.seq, anchor)) for part in source.ancestry]
        self._last[info.generation] = anchor
        return Create(
            replace(
                info,
                last_seq=anchor,
                ancestry=(*parts, Offset(source.generation, anchor)),
                forked_from=source.name,
            )
        )

    def born(self, create: Create, *data: bytes, ending: EndingKind | None = None) -> Create:
        """The same, made with its first events, and perhaps its ending."""
        first = self.append(create.info.generation, *data, ending=ending)
        return replace(create, events=first.events, ending=first.ending)

    def append(
        self, generation: str, *data: bytes, kind: str = "data", ending: EndingKind | None = None
    ) -> Append:
        last = self._last[generation]
        events = [Event(last + n, 1000 + last + n, kind, d) for n, d in enumerate(data, 1)]
        last += len(events)
        if ending is None:
            self._last[generation] = last
            return Append(generation, events)
        self._last[generation] = last + 1
        return Append(generation, events, Ending(ending, "", last + 1, 5000 + last))


def made(create: Create) -> StreamInfo:
    """What a store says of a stream that was made so."""
    grown = create.info.grown(len(create.events), sum(len(e.data) for e in create.events))
    return replace(grown, ending=create.ending)


async def settle(store: Store, *changes: Change) -> None:
    """Write the changes and wait until they are durable."""
    number = 0
    for change in changes:
        number = store.write(change)
    await store.committed(number)


async def read_all(
    store: Store, generation: str, limit: int = EVERYTHING, after: int = 0
) -> list[Event]:
    """Read to the end, from place to place, as a cursor does."""
    found: list[Event] = []
    while batch := await store.read(generation, after, limit):
        found += batch
        after = batch[-1].seq
    return found


async def is_unknown(store: Store, generation: str) -> bool:
    """Whether the store says that it has no such stream."""
    answers = await asyncio.gather(
        store.read(generation, 0, 1), store.writers(generation), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, NotFound):
            raise answer
    unknown = [isinstance(answer, NotFound) for answer in answers]
    assert unknown[0] == unknown[1], "the events and the writers of a stream go together"
    return unknown[0]


@dataclass(frozen=True)
class Step:
    """One thing to do. ``stream`` picks among those made so far, whatever became of them."""

    verb: str
    """A change: create, fork, append, close, sign, delete, renew, trim, alias or note; a question:
    read, find, writers, list, oldest or due; or commit, yield, reopen."""
    stream: int = 0
    sizes: Sequence[int] = ()
    after: int = 0
    limit: int = 1


# Changes that may come when the stream is gone, or deleted already.
_ADJUSTMENTS = frozenset({"delete", "renew", "trim", "alias", "note"})
CHANGES = _ADJUSTMENTS | {"create", "fork", "append", "close", "sign"}
# Further names; some are the own ones of other streams.
_ALIASES = ("a", "b", "n0/0", "n1/1", "f1", "f2")
# Deadlines of the model's streams lie here and up to 20 later, as far as ``Step.after`` goes.
_SOON = 1000


class Model:
    """What a store is, if nothing could ever go wrong."""

    def __init__(self) -> None:
        self.maker = Maker()
        self.made: list[str] = []
        """The generations of all streams that ever were."""
        self.infos: dict[str, StreamInfo] = {}
        """The streams there are, ``deleted`` ones included."""
        self.events: dict[str, list[Event]] = {}
        self.writer_seqs: dict[str, str] = {}
        self.producers: dict[tuple[str, str], Producer] = {}
        self.aliases: dict[str, str] = {}
        """The generations that have further names."""

    def change(self, step: Step) -> Change | None:
        """The change that a step makes, already applied here; None where it makes none."""
        if step.verb == "create":
            return self._create(f"n{step.stream % 3}/{step.stream}", step)
        if not self.made:
            return None
        generation = self.made[step.stream % len(self.made)]
        info = self.infos.get(generation)
        if step.verb in _ADJUSTMENTS:
            return self._adjust(generation, info, step)
        if info is None or info.deleted:
            return None
        if step.verb == "fork":
            return self._fork(f"f{step.limit % 8}", info, step)
        return None if info.ending is not None else self._append(info, step)

    def _adjust(self, generation: str, info: StreamInfo | None, step: Step) -> Change:
        """A change that may come when the stream is gone, or deleted already."""
        if step.verb == "delete":
            if info is not None:
                self._delete(info)
            return Delete(generation)
        if step.verb == "renew":
            if info is not None:
                self.infos[generation] = replace(info, deadline=_SOON + step.after)
            return Renew(generation, _SOON + step.after)
        if step.verb in {"alias", "note"}:
            return self._describe(generation, info, step)
        seq = step.after if info is None else min(step.after, info.last_seq)
        if info is not None:
            self.infos[generation] = replace(info, trimmed=max(info.trimmed, seq))
        return Trim(generation, seq)

    def _describe(self, generation: str, info: StreamInfo | None, step: Step) -> Change:
        name, data = _ALIASES[step.after % len(_ALIASES)], b"%d" % step.limit
        if info is not None and not info.deleted:
            if step.verb == "alias":
                self.aliases[name] = generation
            else:
                self.infos[generation] = replace(info, note=data)
        return Alias(generation, name) if step.verb == "alias" else Note(generation, data)

    def _create(self, name: str, step: Step) -> Create | None:
        if self._own(name) is not None:
            return None
        create = self.maker.create(name, "relay")
        info = create.info
        if step.after % 2:
            info = replace(info, ttl=step.limit, deadline=_SOON + step.after, note=b"born")
        return self._begin(Create(info), step)

    def _fork(self, name: str, source: StreamInfo, step: Step) -> Create | None:
        if self._own(name) is not None:
            return None
        create = self.maker.fork(name, source, min(step.after, source.last_seq))
        return self._begin(Create(replace(create.info, sub_offset=step.limit)), step)

    def _begin(self, create: Create, step: Step) -> Create:
        ending = EndingKind.FAILED if step.limit % 5 == 0 else None
        data = _data(step) if step.limit % 2 else []
        create = self.maker.born(create, *data, ending=ending)
        generation = create.info.generation
        self.made.append(generation)
        self.infos[generation] = made(create)
        self.events[generation] = list(create.events)
        return create

    def _append(self, info: StreamInfo, step: Step) -> Append:
        generation = info.generation
        ending = EndingKind.COMPLETED if step.verb == "close" else None
        append = self.maker.append(generation, *_data(step), ending=ending)
        self.events[generation] += append.events
        grown = info.grown(len(append.events), sum(step.sizes))
        self.infos[generation] = replace(grown, ending=append.ending)
        if step.verb == "append":
            return append
        seq = f"{step.after:02}" if step.after % 3 else ""
        producer = Producer(f"p{step.limit % 3}", step.limit % 5, step.after, ending is not None)
        self.writer_seqs[generation] = seq or self.writer_seqs.get(generation, "")
        self.producers[generation, producer.id] = producer
        return append._replace(producer=producer, writer_seq=seq)

    def _delete(self, info: StreamInfo) -> None:
        self.infos[info.generation] = replace(info, deleted=True, note=b"")
        kept = [(name, g) for name, g in self.aliases.items() if g != info.generation]
        self.aliases = dict(kept)
        while erasable := [i for i in self.infos.values() if i.deleted and not self._needed(i)]:
            for gone in erasable:
                del self.infos[gone.generation]

    def _needed(self, info: StreamInfo) -> bool:
        return any(
            info.generation == ancestor.generation
            for other in self.infos.values()
            for ancestor in other.ancestry
        )

    def named(self, name: str) -> StreamInfo | None:
        """What the store's ``find`` has to say."""
        return self._own(name) or self.infos.get(self.aliases.get(name, ""))

    def _own(self, name: str) -> StreamInfo | None:
        return next((info for info in self.infos.values() if info.name == name), None)

    def writers(self, generation: str) -> tuple[str, set[Producer]]:
        """What the store's ``writers`` has to say."""
        producers = {p for (stream, _), p in self.producers.items() if stream == generation}
        return self.writer_seqs.get(generation, ""), producers

    def unfinished(self) -> set[StreamInfo]:
        """What the store's ``open`` has to say."""
        infos = self.infos.values()
        return {info for info in infos if info.source and not info.ending and not info.deleted}

    def list(self, prefix: str, limit: int, *, oldest: bool) -> Listing:
        """What the store's ``list`` has to say."""
        infos = self._listed(prefix)
        if oldest:
            closed = [i for i in infos if i.ending is not None]
            page = sorted(closed, key=lambda i: (i.ending.time if i.ending else 0, i.generation))
        else:
            page = sorted(infos, key=lambda info: info.generation, reverse=True)
        return Listing(page[:limit], len(infos), sum(info.size for info in infos))

    def due(self, prefix: str, limit: int, now: int) -> Listing:
        """What the store's ``list`` has to say of deadlines."""
        infos = self._listed(prefix)
        due = [(i.deadline, i.generation, i) for i in infos if i.deadline and i.deadline <= now]
        page = [info for *_, info in sorted(due)]
        return Listing(page[:limit], len(infos), sum(info.size for info in infos))

    def _listed(self, prefix: str) -> Sequence[StreamInfo]:
        return [i for i in self.infos.values() if i.name.startswith(prefix) and not i.deleted]


def _data(step: Step) -> list[bytes]:
    return [bytes([n % 256]) * size for n, size in enumerate(step.sizes)]


async def compare(
    store: Store, reopen: Callable[[Store], Store] | None, steps: Sequence[Step]
) -> None:
    """Take the steps with an empty store, not opened, and with a dict; they must agree.

    ``reopen`` makes another store on the medium of one that was closed; None: it has no medium.
    """
    model = Model()
    await store.open()
    number = 0
    try:
        for step in steps:
            if step.verb == "reopen" and reopen is not None:
                await store.close()
                store = reopen(store)
                assert set(await store.open()) == model.unfinished()
                number = 0
            elif step.verb == "commit":
                await store.committed(number)
            elif step.verb == "yield":
                await asyncio.sleep(0.001 * step.limit)
            elif step.verb in CHANGES:
                change = model.change(step)
                number = number if change is None else store.write(change)
            else:
                await _ask(store, model, step)
        for generation in model.made:
            await _ask_for_events(store, model, generation, 0, 1000)
            await _ask_for_writers(store, model, generation)
        for name in _ALIASES:
            assert await store.find(name) == model.named(name)
        assert await store.list("") == model.list("", 100, oldest=False)
    finally:
        await store.close()


async def _ask(store: Store, model: Model, step: Step) -> None:
    prefix = ("", "n", "n0/", "n1/", "f")[step.after % 5]
    if step.verb == "list":
        expected = model.list(prefix, step.limit, oldest=False)
        assert await store.list(prefix, limit=step.limit) == expected
    elif step.verb == "oldest":
        expected = model.list(prefix, step.limit, oldest=True)
        assert await store.list(prefix, limit=step.limit, oldest_closed=True) == expected
    elif step.verb == "due":
        now, limit = _SOON + step.stream * 3, 1 + step.limit % 4
        expected = model.due(prefix, limit, now)
        assert await store.list(prefix, limit=limit, due=now) == expected
    elif step.verb == "find":
        alias = _ALIASES[step.after % len(_ALIASES)]
        for name in (f"n{step.stream % 3}/{step.stream}", f"f{step.limit % 8}", alias):
            assert await store.find(name) == model.named(name)
    elif model.made:
        generation = model.made[step.stream % len(model.made)]
        if step.verb == "read":
            await _ask_for_events(store, model, generation, step.after, step.limit)
        elif step.verb == "writers":
            await _ask_for_writers(store, model, generation)


async def _ask_for_writers(store: Store, model: Model, generation: str) -> None:
    if generation not in model.infos:
        assert await is_unknown(store, generation)
        return
    found: Writers = await store.writers(generation)
    assert (found.writer_seq, set(found.producers)) == model.writers(generation)
    assert len(found.producers) == len({producer.id for producer in found.producers})


async def _ask_for_events(
    store: Store, model: Model, generation: str, after: int, limit: int
) -> None:
    info = model.infos.get(generation)
    if info is None:
        assert await is_unknown(store, generation)
        return
    kept = max(after, info.trimmed)
    expected = [event for event in model.events[generation] if event.seq > kept]
    first = await store.read(generation, after, limit)
    assert first == expected[: len(first)]
    assert bool(first) == bool(expected)
    assert len(first) <= 1 or sum(len(event.data) for event in first) <= limit
    assert await read_all(store, generation, limit, after) == expected
