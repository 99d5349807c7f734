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

from tailrace.contracts import Append, Change, Create, Delete, Listing, Store
from tailrace.errors import NotFound
from tailrace.model import Ending, EndingKind, Event, StreamInfo, mint_generation

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
    try:
        await store.read(generation, 0, 1)
    except NotFound:
        return True
    return False


@dataclass(frozen=True)
class Step:
    """One thing to do. ``stream`` picks among those made so far, whatever became of them."""

    verb: str
    """create, append, close, delete, commit, yield, read, find, list, oldest or reopen."""
    stream: int = 0
    sizes: Sequence[int] = ()
    after: int = 0
    limit: int = 1


class Model:
    """What a store is, if nothing could ever go wrong."""

    def __init__(self) -> None:
        self.maker = Maker()
        self.made: list[StreamInfo] = []
        self.infos: dict[str, StreamInfo] = {}
        self.events: dict[str, list[Event]] = {}

    def change(self, step: Step) -> Change | None:
        """The change that a step makes, already applied here; None where it makes none."""
        if step.verb == "create":
            return self._create(f"n{step.stream % 3}/{step.stream}")
        if not self.made:
            return None
        generation = self.made[step.stream % len(self.made)].generation
        info = self.infos.get(generation)
        if step.verb == "delete":
            self.infos.pop(generation, None)
            return Delete(generation)
        if info is None or info.ending is not None:
            return None
        data = [bytes([n % 256]) * size for n, size in enumerate(step.sizes)]
        ending = EndingKind.COMPLETED if step.verb == "close" else None
        append = self.maker.append(generation, *data, ending=ending)
        self.events[generation] += append.events
        grown = info.grown(len(data), sum(map(len, data)))
        self.infos[generation] = replace(grown, ending=append.ending)
        return append

    def _create(self, name: str) -> Create | None:
        if any(info.name == name for info in self.infos.values()):
            return None
        create = self.maker.create(name, "relay")
        self.made.append(create.info)
        self.infos[create.info.generation] = create.info
        self.events[create.info.generation] = []
        return create

    def list(self, prefix: str, limit: int, *, oldest: bool) -> Listing:
        """What the store's ``list`` has to say."""
        infos = [info for info in self.infos.values() if info.name.startswith(prefix)]
        if oldest:
            closed = [i for i in infos if i.ending is not None]
            page = sorted(closed, key=lambda i: (i.ending.time if i.ending else 0, i.generation))
        else:
            page = sorted(infos, key=lambda info: info.generation, reverse=True)
        return Listing(page[:limit], len(infos), sum(info.size for info in infos))


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
                unfinished = set(await store.open())
                assert unfinished == {i for i in model.infos.values() if i.ending is None}
                number = 0
            elif step.verb == "commit":
                await store.committed(number)
            elif step.verb == "yield":
                await asyncio.sleep(0.001 * step.limit)
            elif step.verb in {"create", "append", "close", "delete"}:
                change = model.change(step)
                number = number if change is None else store.write(change)
            else:
                await _ask(store, model, step)
        for info in model.made:
            await _ask_for_events(store, model, info.generation, 0, 1000)
        assert await store.list("") == model.list("", 100, oldest=False)
    finally:
        await store.close()


async def _ask(store: Store, model: Model, step: Step) -> None:
    prefix = ("", "n", "n0/", "n1/", "x")[step.after % 5]
    if step.verb == "list":
        expected = model.list(prefix, step.limit, oldest=False)
        assert await store.list(prefix, limit=step.limit) == expected
    elif step.verb == "oldest":
        expected = model.list(prefix, step.limit, oldest=True)
        assert await store.list(prefix, limit=step.limit, oldest_closed=True) == expected
    elif model.made:
        info = model.made[step.stream % len(model.made)]
        if step.verb == "find":
            alive = [i for i in model.infos.values() if i.name == info.name]
            assert await store.find(info.name) == (alive[0] if alive else None)
        elif step.verb == "read":
            await _ask_for_events(store, model, info.generation, step.after, step.limit)


async def _ask_for_events(
    store: Store, model: Model, generation: str, after: int, limit: int
) -> None:
    if generation not in model.infos:
        assert await is_unknown(store, generation)
        return
    expected = [event for event in model.events[generation] if event.seq > after]
    first = await store.read(generation, after, limit)
    assert first == expected[: len(first)]
    assert bool(first) == bool(expected)
    assert len(first) <= 1 or sum(len(event.data) for event in first) <= limit
    assert await read_all(store, generation, limit, after) == expected
