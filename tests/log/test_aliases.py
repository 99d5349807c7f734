"""Further names and notes of streams, as the catalogue has them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tailrace.errors import NotFound, StreamDeleted, StreamExists
from tailrace.log.making import Forking, Making
from tailrace.model import DATA, EndingKind, StreamInfo
from tailrace.stores import SqliteStore
from tailrace.stores.memory import MemoryStore
from tests.log.harness import House, house, run, until

TEXT = Making("text/plain")


def test_a_live_stream_is_found_by_its_further_name_as_the_very_same() -> None:
    async def test() -> None:
        async with house() as h:
            stream, source = h.fed()
            h.catalogue.alias(stream, "resp_1")
            assert await h.catalogue.known_as("resp_1") is stream
            assert await h.catalogue.known_as(stream.name) is stream
            source.feed(b"more")
            found = await h.catalogue.known_as("resp_1")
            assert found.visible == 1

    run(test())


def test_a_further_name_is_none_to_get_or_to_make_by() -> None:
    async def test() -> None:
        async with house() as h:
            stream, _ = h.fed()
            h.catalogue.alias(stream, "resp_1")
            with pytest.raises(NotFound):
                await h.catalogue.get("resp_1")
            with pytest.raises(NotFound):
                await h.catalogue.delete("resp_1")
            own, new = await h.catalogue.put("resp_1", TEXT)
            assert new
            assert await h.catalogue.known_as("resp_1") is own
            await h.catalogue.delete("resp_1")
            assert await h.catalogue.known_as("resp_1") is stream
            with pytest.raises(NotFound):
                await h.catalogue.known_as("resp_2")

    run(test())


def test_committed_covers_notes_and_further_names(tmp_path: Path) -> None:
    async def before() -> None:
        store = SqliteStore(tmp_path / "a.db", commit_interval=60)
        async with house(store) as h:
            stream, source = h.fed()
            stream.note(b'{"n": 1}')
            source.stop(EndingKind.COMPLETED, "")
            await stream.committed()
            stream.note(b'{"n": 2}')
            assert store.health().uncommitted > 0
            await stream.committed()
            assert store.health().uncommitted == 0
            h.catalogue.alias(stream, "x")
            assert store.health().uncommitted > 0
            await stream.committed()
            assert store.health().uncommitted == 0
            assert stream.info.note == b'{"n": 2}'

    async def after() -> None:
        async with house(SqliteStore(tmp_path / "a.db")) as h:
            stream = await h.catalogue.known_as("x")
            assert stream.info.note == b'{"n": 2}'
            assert stream.ending is not None
            assert await h.catalogue.known_as("x") is stream
            assert await h.catalogue.get(stream.name) is stream
            stream.note(b"{}")
            h.catalogue.alias(stream, "y")
            assert await h.catalogue.known_as("y") is stream
            page = await h.catalogue.page("chat/")
            assert page.streams == [stream.info]

    run(before())
    run(after())


def test_a_stream_that_left_memory_is_found_by_its_further_name() -> None:
    async def test() -> None:
        async with house() as h:
            stream, _ = await h.catalogue.put("s", TEXT, [(DATA, b"a")])
            h.catalogue.alias(stream, "x")
            stream.note(b"1")
            generation = stream.generation
            del stream
            await until(lambda: not list(h.catalogue.in_memory.values()))
            found = await h.catalogue.known_as("x")
            assert (found.generation, found.info.note) == (generation, b"1")
            assert await h.catalogue.known_as("s") is found

    run(test())


def test_a_deleted_or_expired_stream_is_not_found_by_its_further_name() -> None:
    async def test() -> None:
        async with house() as h:
            for name in ("deleted", "expired", "kept"):
                stream, _ = await h.catalogue.put(name, Making("text/plain", ttl=10))
                h.catalogue.alias(stream, f"{name}/x")
            await h.catalogue.fork("fork", Forking("kept", ttl=100))
            for name in ("deleted", "kept"):
                await h.catalogue.delete(name)
                with pytest.raises(NotFound):
                    await h.catalogue.known_as(f"{name}/x")
            with pytest.raises(StreamDeleted):
                await h.catalogue.known_as("kept")
            h.clock.now += 11
            with pytest.raises(NotFound):
                await h.catalogue.known_as("expired/x")
            with pytest.raises(StreamExists):
                await h.catalogue.put("kept", TEXT)

    run(test())


def test_what_clients_make_is_known_as_something_only_once_it_is_durable() -> None:
    async def test() -> None:
        store = Unsure()
        async with house(store) as h:
            making = asyncio.ensure_future(h.catalogue.put("s", TEXT))
            await until(lambda: bool(list(h.catalogue.in_memory.values())))
            h.catalogue.alias(next(iter(h.catalogue.in_memory.values())), "x")
            asking = asyncio.ensure_future(h.catalogue.known_as("x"))
            await asyncio.sleep(0.01)
            assert not asking.done()
            store.sure.set()
            assert await asking is (await making)[0]

    run(test())


class Unsure(MemoryStore):
    """Nothing is durable until it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.sure = asyncio.Event()

    async def committed(self, number: int) -> None:
        await self.sure.wait()


def test_a_name_made_again_while_the_store_was_asked_is_another_stream() -> None:
    async def test() -> None:
        store = Late()
        async with house(store) as h:
            await _made(h, "x")
            store.hold = True
            asking = asyncio.ensure_future(h.catalogue.known_as("x"))
            await until(lambda: store.asked)
            store.hold = False
            await h.catalogue.delete("s")
            again, _ = await h.catalogue.put("s", TEXT)
            store.go.set()
            with pytest.raises(NotFound):
                await asking
            assert await h.catalogue.known_as("s") is again

    run(test())


async def _made(h: House, alias: str) -> None:
    stream, _ = await h.catalogue.put("s", TEXT)
    h.catalogue.alias(stream, alias)
    await stream.committed()


class Late(MemoryStore):
    """Its answer to one question is old."""

    def __init__(self) -> None:
        super().__init__()
        self.hold = self.asked = False
        self.go = asyncio.Event()

    async def find(self, name: str) -> StreamInfo | None:
        info = await super().find(name)
        if self.hold:
            self.asked = True
            await self.go.wait()
        return info


def test_a_stream_that_is_gone_takes_no_name_and_no_note() -> None:
    async def test() -> None:
        store = MemoryStore()
        async with house(store) as h:
            stream, _ = await h.catalogue.put("s", TEXT)
            await h.catalogue.delete("s")
            stream.note(b"1")
            h.catalogue.alias(stream, "x")
            await stream.committed()
            with pytest.raises(NotFound):
                await h.catalogue.known_as("x")
            assert await store.find("s") is None

    run(test())
