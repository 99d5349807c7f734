"""Streams that clients make: appends, retries, closing, forks, trimming, expiry."""

from __future__ import annotations

import asyncio

import pytest

from tailrace.errors import (
    BadRequest,
    NotFound,
    OffsetGone,
    ProducerFenced,
    ProducerGap,
    StoreFull,
    StoreUnavailable,
    StreamDeleted,
    StreamExists,
    StreamIsClosed,
    TooMany,
    WriterSeqConflict,
)
from tailrace.log.making import Forking, Making
from tailrace.log.producers import Claim
from tailrace.log.reading import read_range
from tailrace.log.stream import Stream
from tailrace.model import DATA, EndingKind, Event, Offset, StreamInfo
from tailrace.stores.memory import MemoryStore
from tests.log.harness import House, Pipe, house, run, until

TEXT = Making("text/plain")


def records(*data: bytes) -> list[tuple[str, bytes]]:
    return [(DATA, piece) for piece in data]


async def made(h: House, name: str, *data: bytes, making: Making = TEXT) -> Stream:
    stream, new = await h.catalogue.put(name, making, records(*data))
    assert new
    return stream


async def content(stream: Stream, place: int = 0) -> bytes:
    found: list[Event] = []
    while events := await read_range(stream, place, 3):
        found += events
        place = events[-1].seq
    return b"".join(event.data for event in found)


def test_making_a_stream_twice_the_same_way_is_making_it_once() -> None:
    async def test() -> None:
        async with house() as h:
            stream = await made(h, "s", b"a", b"b")
            assert (stream.visible, stream.info.size) == (2, 2)
            again, new = await h.catalogue.put("s", Making("TEXT/plain; charset=utf-8"))
            assert (again, new) == (stream, False)
            for other in (
                Making("text/html"),
                Making("text/plain", ttl=5),
                TEXT._replace(close=True),
            ):
                with pytest.raises(StreamExists):
                    await h.catalogue.put("s", other)
            assert await content(stream) == b"ab"

    run(test())


def test_a_stream_can_be_closed_at_birth_with_all_it_will_ever_have() -> None:
    async def test() -> None:
        async with house() as h:
            stream = await made(h, "s", b"all", making=TEXT._replace(close=True))
            assert stream.ending is not None
            assert (stream.ending.kind, stream.ending.seq) == (EndingKind.COMPLETED, 2)
            with pytest.raises(StreamIsClosed):
                await stream.append(records(b"more"))

    run(test())


def test_a_retried_batch_is_acknowledged_and_not_appended_again() -> None:
    async def test() -> None:
        async with house() as h:
            stream = await made(h, "s")
            first = await stream.append(records(b"a"), claim=Claim("p", 0, 0))
            retry = await stream.append(records(b"a"), claim=Claim("p", 0, 0))
            assert (first.duplicate, retry.duplicate) == (False, True)
            assert retry.tail == first.tail
            with pytest.raises(ProducerGap):
                await stream.append(records(b"c"), claim=Claim("p", 0, 2))
            await stream.append(records(b"b"), claim=Claim("p", 1, 0))
            with pytest.raises(ProducerFenced):
                await stream.append(records(b"z"), claim=Claim("p", 0, 1))
            assert await content(stream) == b"ab"

    run(test())


def test_a_stream_that_left_memory_still_knows_its_writers() -> None:
    async def test() -> None:
        async with house() as h:
            stream = await made(h, "s")
            await stream.append(records(b"a"), claim=Claim("p", 0, 0), writer_seq="b")
            del stream
            await until(lambda: not list(h.catalogue.in_memory.values()))
            stream = await h.catalogue.get("s")
            assert (await stream.append(records(b"a"), claim=Claim("p", 0, 0))).duplicate
            for seq in ("a", "b"):
                with pytest.raises(WriterSeqConflict):
                    await stream.append(records(b"x"), writer_seq=seq)
            await stream.append(records(b"c"), writer_seq="ba")
            assert await content(stream) == b"ac"

    run(test())


def test_closing_is_idempotent_and_a_closing_batch_can_be_retried() -> None:
    async def test() -> None:
        async with house() as h:
            plain = await made(h, "plain")
            assert not (await plain.append([], close=True)).duplicate
            assert (await plain.append([], close=True)).duplicate
            with pytest.raises(StreamIsClosed):
                await plain.append(records(b"x"), close=True)

            stream = await made(h, "s")
            last = Claim("p", 0, 0)
            await stream.append(records(b"end"), close=True, claim=last)
            assert (await stream.append(records(b"end"), close=True, claim=last)).duplicate
            for other in (Claim("p", 0, 1), Claim("q", 0, 0)):
                with pytest.raises(StreamIsClosed):
                    await stream.append(records(b"end"), close=True, claim=other)
            assert await content(stream) == b"end"

    run(test())


def test_a_stream_remembers_so_many_producers_and_no_more() -> None:
    async def test() -> None:
        async with house() as h:
            stream = await made(h, "s")
            for number in range(h.machinery.max_producers):
                await stream.append(records(b"."), claim=Claim(str(number), 0, 0))
            with pytest.raises(TooMany):
                await stream.append(records(b"x"), claim=Claim("one more", 0, 0))
            await stream.append(records(b"!"), claim=Claim("3", 0, 1))

    run(test())


def test_what_a_full_store_did_not_commit_is_not_shown_until_it_has() -> None:
    async def test() -> None:
        async with house(MemoryStore(limit=20_000)) as h:
            big = await made(h, "big", bytes(8000))
            stream = await made(h, "s", b"seen")
            with pytest.raises(StoreFull):
                await stream.append(records(bytes(9000)), close=True)
            assert (stream.visible, stream.ending) == (1, None)
            with pytest.raises(StoreFull):
                await stream.append(records(b"refused at once"))
            del big
            await h.catalogue.delete("big")
            await until(lambda: stream.ending is not None)
            assert await content(stream) == b"seen" + bytes(9000)

    run(test())


class Faulty(MemoryStore):
    """Has a bug that shows once."""

    faults = 0

    async def committed(self, number: int) -> None:
        if self.faults:
            self.faults -= 1
            raise RuntimeError("a bug")
        await super().committed(number)


def test_a_fault_in_a_store_is_told_to_who_waits_and_stops_nobody_after() -> None:
    async def test() -> None:
        store = Faulty()
        async with house(store) as h:
            stream = await made(h, "s")
            store.faults = 1
            with pytest.raises(StoreUnavailable):
                await stream.append(records(b"a"))
            await stream.append(records(b"b"))
            assert await content(stream) == b"ab"

    run(test())


def test_a_fork_has_its_sources_past_under_the_sources_offsets() -> None:
    async def test() -> None:
        async with house(window=1) as h:
            source = await made(h, "a", b"1", b"2", b"3")
            fork, new = await h.catalogue.fork("b", Forking("a", Offset(source.generation, 2)))
            assert new
            await fork.append(records(b"x", b"y"))
            await source.append(records(b"4"))
            deep, _ = await h.catalogue.fork("c", Forking("b", Offset(fork.generation, 3)))
            await deep.append(records(b"!"))
            assert [await content(s) for s in (source, fork, deep)] == [b"1234", b"12xy", b"12x!"]
            generations = [deep.offset(seq).generation for seq in range(5)]
            assert generations == [source.generation] * 3 + [fork.generation, deep.generation]
            tokens = [str(deep.offset(seq)) for seq in range(5)]
            assert tokens == sorted(tokens)
            for seq in range(5):
                assert h.catalogue.place(deep, deep.offset(seq)) == seq
            with pytest.raises(OffsetGone):
                h.catalogue.place(deep, Offset(source.generation, 3))

    run(test())


def test_a_fork_is_followed_live_across_its_seam() -> None:
    async def test() -> None:
        async with house(window=1) as h:
            source = await made(h, "a", b"1", b"2", b"3")
            fork, _ = await h.catalogue.fork("b", Forking("a", Offset(source.generation, 2)))
            pipe = Pipe()
            h.follow(fork, pipe)
            await until(lambda: pipe.data == b"12")
            await source.append(records(b"not here"))
            await fork.append(records(b"x"), close=True)
            await until(lambda: pipe.whole is not None)
            assert (pipe.data, pipe.whole) == (b"12x", True)

    run(test())


def test_a_sub_offset_takes_part_of_what_one_append_made() -> None:
    async def test() -> None:
        async with house() as h:
            await made(h, "a", b"hello", b" world")
            place = (await h.catalogue.get("a")).offset(1)
            fork, _ = await h.catalogue.fork("b", Forking("a", place, 3), records(b"!"))
            assert await content(fork) == b"hello wo!"
            again, new = await h.catalogue.fork("b", Forking("a", place, 3))
            assert (again, new) == (fork, False)
            for other in (Forking("a", place, 2), Forking("a", "-1", 3)):
                with pytest.raises(StreamExists):
                    await h.catalogue.fork("b", other)
            with pytest.raises(BadRequest):
                await h.catalogue.fork("c", Forking("a", place, 7))
            await made(h, "j", b"1", b"2", b"3", making=Making("application/json"))
            json, _ = await h.catalogue.fork("k", Forking("j", "-1", 2))
            assert await content(json) == b"12"

    run(test())


def test_a_sub_offset_may_reach_over_several_events_and_reads() -> None:
    async def test() -> None:
        async with house(window=1) as h:
            pieces = [bytes([65 + n % 26]) * 100_000 for n in range(7)]
            await made(h, "a", b"abc", b"defgh", *pieces)
            whole = b"abcdefgh" + b"".join(pieces)
            for amount in (6, 8, 9, 650_000, len(whole)):
                fork, _ = await h.catalogue.fork(f"b{amount}", Forking("a", "-1", amount))
                assert await content(fork) == whole[:amount]
            with pytest.raises(BadRequest):
                await h.catalogue.fork("c", Forking("a", "-1", len(whole) + 1))

    run(test())


class Slow(MemoryStore):
    """Answers questions only after everything else that could happen has happened."""

    async def find(self, name: str) -> StreamInfo | None:
        found = await super().find(name)
        for _ in range(50):
            await asyncio.sleep(0)
        return found


def test_of_many_who_make_one_name_at_once_one_makes_it() -> None:
    async def test() -> None:
        async with house(Slow()) as h:
            await made(h, "source", b"1")

            async def make(number: int) -> bool:
                """What is made leaves memory at once, as when its request is answered."""
                for _ in range(number * 7):
                    await asyncio.sleep(0)
                if number % 2:
                    return (await h.catalogue.fork("f", Forking("source", "-1", 1)))[1]
                return (await h.catalogue.put("p", TEXT))[1]

            new = await asyncio.gather(*map(make, range(20)))
            assert sum(new) == 2
            assert (await h.catalogue.page("")).total_streams == 3

    run(test())


def test_a_source_is_kept_for_its_forks_and_its_name_is_not_free() -> None:
    async def test() -> None:
        async with house() as h:
            await made(h, "a", b"1", b"2")
            await h.catalogue.fork("b", Forking("a"))
            await h.catalogue.delete("a")
            for request in (h.catalogue.get("a"), h.catalogue.delete("a")):
                with pytest.raises(StreamDeleted):
                    await request
            with pytest.raises(StreamExists):
                await h.catalogue.put("a", TEXT)
            with pytest.raises(StreamExists):
                await h.catalogue.fork("c", Forking("a"))
            assert await content(await h.catalogue.get("b")) == b"12"
            await h.catalogue.delete("b")
            assert await content(await made(h, "a", b"new")) == b"new"

    run(test())


def test_trimmed_events_are_gone_and_an_older_place_is_told_so() -> None:
    async def test() -> None:
        async with house(window=1) as h:
            stream = await made(h, "s", b"1", b"2", b"3", b"4")
            await h.catalogue.trim(stream, 3)
            assert h.catalogue.place(stream, "-1") == 3
            assert await content(stream, 3) == b"4"
            with pytest.raises(OffsetGone):
                h.catalogue.place(stream, stream.offset(2))
            assert h.catalogue.place(stream, stream.offset(3)) == 3

    run(test())


def test_a_reader_under_whom_events_are_trimmed_is_cut_off_and_not_led_past_them() -> None:
    async def test() -> None:
        async with house(window=1) as h:
            pieces = [bytes([65 + n]) * 30_000 for n in range(4)]
            stream = await made(h, "s", *pieces)
            slow = Pipe(room=1)
            h.follow(stream, slow)
            await until(lambda: slow.data != b"")
            await h.catalogue.trim(stream, 3)
            slow.take(10**6)
            await until(lambda: slow.whole is not None)
            assert (slow.data, slow.whole) == (pieces[0], False)

    run(test())


def test_a_stream_expires_unless_it_is_used_or_watched() -> None:
    async def test() -> None:
        async with house() as h:
            idle = await made(h, "idle", making=Making("text/plain", ttl=10))
            await made(h, "read", making=Making("text/plain", ttl=10))
            watched = await made(h, "watched", making=Making("text/plain", ttl=10))
            watching = asyncio.ensure_future(watched.changed(0))
            await made(h, "dated", making=Making("text/plain", expires_at=1_011_000))
            h.clock.now += 9
            h.catalogue.touch(await h.catalogue.get("read"))
            h.clock.now += 2
            for name in ("idle", "dated"):
                with pytest.raises(NotFound):
                    await h.catalogue.get(name)
            assert idle.ending is not None
            assert idle.ending.kind is EndingKind.EXPIRED
            await h.catalogue.retention.expire()
            assert {s.name for s in (await h.catalogue.page("")).streams} == {"read", "watched"}
            watching.cancel()
            await asyncio.wait((watching,))
            h.clock.now += 30
            assert await h.catalogue.retention.expire() == 2

    run(test())
