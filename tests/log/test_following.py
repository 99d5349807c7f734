"""Streams, cursors and the doorbell together, with sinks that fill up."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import NotFound, OffsetGone, StreamHasSource, StreamIsClosed
from tailrace.log.cursor import SLICE, Condition
from tailrace.log.lifecycle import SKIPPED, interrupted
from tailrace.log.places import EARLIEST, LATEST
from tailrace.model import DATA, EndingKind, Offset
from tests.log.harness import Feeder, Pipe, house, run, until


def test_a_late_reader_gets_all_and_then_what_comes() -> None:
    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            early, late = Pipe(), Pipe()
            h.follow(stream, early)
            source.feed(b"one ", b"two ")
            await until(lambda: early.data == b"one two ")
            h.follow(stream, late)
            source.feed(b"three")
            source.stop(EndingKind.COMPLETED, "")
            await until(lambda: late.whole is not None and early.whole is not None)
            assert early.data == late.data == b"one two three"
            assert early.whole and late.whole

    run(story())


@pytest.mark.parametrize("kind", [k for k in EndingKind if k is not EndingKind.COMPLETED])
def test_text_that_is_not_complete_leaves_out_its_end(kind: EndingKind) -> None:
    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            pipe = Pipe()
            h.follow(stream, pipe)
            source.feed(b"half")
            source.stop(kind, "why")
            await until(lambda: pipe.whole is not None)
            assert (pipe.data, pipe.whole) == (b"half", False)

    run(story())


def test_a_reader_that_takes_nothing_holds_one_slice_and_no_other_reader_up() -> None:
    async def story() -> None:
        async with house(window=100_000) as h:
            stream, source = h.fed()
            stuck, swift = Pipe(room=1), Pipe()
            cursor = h.follow(stream, stuck)
            h.follow(stream, swift)
            pieces = [random.Random(i).randbytes(5000) for i in range(100)]
            for piece in pieces:
                source.feed(piece)
                await asyncio.sleep(0)
            source.stop(EndingKind.COMPLETED, "")
            await until(lambda: swift.whole is True)
            assert swift.data == b"".join(pieces)
            assert len(stuck.data) <= SLICE
            assert cursor.condition is Condition.BLOCKED
            while stuck.whole is None:
                stuck.take(room=1)
                await asyncio.sleep(0)
            assert stuck.data == b"".join(pieces)

    run(story())


@given(
    sizes=st.lists(st.integers(1, 3 * SLICE), min_size=1, max_size=8),
    rooms=st.lists(st.integers(1, 2 * SLICE), min_size=1, max_size=5),
    window=st.sampled_from([1, 20_000, 10**7]),
    start=st.integers(0, 8),
    view=st.sampled_from(["text", "sse", "ndjson"]),
)
@settings(max_examples=60)
def test_whatever_the_sizes_a_reader_gets_each_byte_once_and_in_order(
    sizes: list[int], rooms: list[int], window: int, start: int, view: str
) -> None:
    async def story() -> None:
        async with house(window=window) as h:
            stream, source = h.fed()
            whole, broken = Pipe(), Pipe(room=1)
            start_at = min(start, len(sizes))
            h.follow(stream, broken, start_at, view)
            for index, size in enumerate(sizes):
                source.feed(bytes([97 + index]) * size)
                await asyncio.sleep(0)
            source.stop(EndingKind.COMPLETED, "")
            h.follow(stream, whole, start_at, view)
            turn = 0
            while broken.whole is None:
                if broken.owner and getattr(broken.owner, "blocked_since", None) is not None:
                    broken.take(rooms[turn % len(rooms)])
                    turn += 1
                await asyncio.sleep(0)
            await until(lambda: whole.whole is not None)
            assert broken.data == whole.data
            assert max(map(len, broken.writes), default=0) <= SLICE
            for index, size in enumerate(sizes):
                if view == "text":
                    expected = size if index >= start_at else 0
                    assert whole.data.count(bytes([97 + index])) == expected

    run(story())


def test_resuming_at_every_place_gives_exactly_the_rest() -> None:
    async def story() -> None:
        async with house(window=300) as h:
            stream, source = h.fed()
            words = [f"w{i} ".encode() for i in range(50)]
            source.feed(*words)
            source.stop(EndingKind.COMPLETED, "")
            for seq in range(51):
                pipe = Pipe()
                h.follow(stream, pipe, seq)
                await until(lambda pipe=pipe: pipe.whole is not None)  # type: ignore[misc]
                assert pipe.data == b"".join(words[seq:])

    run(story())


def test_a_sink_that_fails_takes_only_its_own_cursor_with_it() -> None:
    class Broken(Pipe):
        def write(self, data: bytes) -> bool:
            raise ConnectionResetError

    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            broken, well = Broken(), Pipe()
            h.follow(stream, broken)
            h.follow(stream, well)
            source.feed(b"a")
            source.stop(EndingKind.COMPLETED, "")
            await until(lambda: well.whole is True)
            assert well.data == b"a"
            assert broken.whole is False
            assert not list(stream.cursors)

    run(story())


def test_clients_appends_are_shown_only_once_durable() -> None:
    async def story() -> None:
        async with house() as h:
            stream = await h.catalogue.create("notes", "text/plain")
            pipe = Pipe()
            h.follow(stream, pipe)
            appending = asyncio.ensure_future(stream.append([(DATA, b"x")]))
            await asyncio.sleep(0)
            shown_before = stream.visible if not appending.done() else 0
            await appending
            assert shown_before == 0
            assert stream.visible == 1
            await stream.append([(DATA, b"y")], close=True)
            await until(lambda: pipe.whole is True)
            assert pipe.data == b"xy"
            with pytest.raises(StreamIsClosed):
                await stream.append([(DATA, b"z")])
            await stream.append([], close=True)

    run(story())


def test_nobody_else_appends_where_a_source_does() -> None:
    async def story() -> None:
        async with house() as h:
            stream, _ = h.fed()
            with pytest.raises(StreamHasSource):
                await stream.append([(DATA, b"x")])

    run(story())


def test_an_answer_whose_process_died_ends_interrupted_with_numbers_never_used() -> None:
    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            source.feed(b"shown")
            ending = interrupted(stream.info, 5)
            assert ending.kind is EndingKind.INTERRUPTED
            assert (ending.seq, ending.time) == (1 + SKIPPED, 5)

    run(story())


def test_deleting_tells_those_who_read_and_stops_the_source() -> None:
    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            pipe = Pipe()
            h.follow(stream, pipe, view="sse")
            source.feed(b"a")
            await until(lambda: b"data: a" in pipe.data)
            await h.catalogue.delete(stream.name)
            await until(lambda: pipe.whole is not None)
            assert b'"expired"' in pipe.data
            assert stream.source is None
            with pytest.raises(NotFound):
                await h.catalogue.get(stream.name)

    run(story())


def test_a_deleted_stream_expires_under_a_reader_of_its_history() -> None:
    async def story() -> None:
        async with house(window=1) as h:
            stream, source = h.fed()
            for _ in range(40):
                source.feed(b"x" * 20_000)
            source.stop(EndingKind.COMPLETED, "")
            pipe = Pipe(room=1)
            h.follow(stream, pipe, view="sse")
            await until(lambda: bool(pipe.writes))
            await h.catalogue.delete(stream.name)
            pipe.take(float("inf"))
            await until(lambda: pipe.whole is not None)
            assert b'"expired"' in pipe.data

    run(story())


def test_an_offset_of_an_earlier_making_is_gone() -> None:
    async def story() -> None:
        async with house() as h:
            first = await h.catalogue.create("n", "text/plain")
            old = first.info.tail
            await h.catalogue.delete("n")
            second = await h.catalogue.create("n", "text/plain")
            with pytest.raises(OffsetGone):
                h.catalogue.place(second, old)
            assert h.catalogue.place(second, EARLIEST) == 0

    run(story())


def test_an_offset_past_the_end_reads_as_the_end() -> None:
    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            source.feed(b"a", b"b")
            beyond = Offset(stream.generation, 99)
            assert h.catalogue.place(stream, beyond) == 2
            assert h.catalogue.place(stream, LATEST) == 2

    run(story())


def test_readers_are_sent_off_with_a_time_to_come_back() -> None:
    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            idle, stuck = Pipe(), Pipe(room=1)
            h.follow(stream, idle, view="sse")
            h.follow(stream, stuck, view="sse")
            source.feed(b"x" * 100_000)
            await until(lambda: len(idle.data) > 100_000)
            h.catalogue.send_off(lambda: 1234)
            assert idle.data.endswith(b"retry: 1234\n\n")
            assert b"retry" not in stuck.data
            assert (idle.whole, stuck.whole) == (False, False)
            source.feed(b"more")
            await asyncio.sleep(0)
            assert b"more" not in idle.data

    run(story())


def test_a_heartbeat_after_silence_and_never_within_an_event() -> None:
    async def story() -> None:
        async with house(heartbeat=0.05) as h:
            stream, source = h.fed()
            idle = Pipe()
            h.follow(stream, idle, view="sse")
            h.clock.now += 1
            await until(lambda: b": ping" in idle.data)
            stuck = Pipe(room=1)
            h.follow(stream, stuck, view="sse")
            source.feed(b"x" * 100_000)
            await until(lambda: bool(stuck.writes) and len(idle.data) > 100_000)
            pings = idle.data.count(b": ping")
            h.clock.now += 10
            await until(lambda: idle.data.count(b": ping") > pings)
            assert b": ping" not in stuck.data

    run(story())


def test_a_viewer_that_takes_nothing_for_too_long_is_closed_without_an_end() -> None:
    async def story() -> None:
        async with house(heartbeat=0.02, patience=600) as h:
            stream, source = h.fed()
            stuck = Pipe(room=1)
            h.follow(stream, stuck, view="sse")
            source.feed(b"hello")
            await until(lambda: bool(stuck.writes))
            h.clock.now += 599
            for _ in range(200):
                await asyncio.sleep(0.0005)
            assert stuck.whole is None
            h.clock.now += 2
            await until(lambda: stuck.whole is not None)
            assert stuck.whole is False
            assert b"end" not in stuck.data

    run(story())


def test_streams_take_turns_so_that_many_viewers_of_one_do_not_hold_up_another() -> None:
    async def story() -> None:
        async with house() as h:
            busy, busy_source = h.fed()
            calm, calm_source = h.fed()
            order: list[str] = []

            class Noting(Pipe):
                def __init__(self, name: str) -> None:
                    super().__init__()
                    self.name = name

                def write(self, data: bytes) -> bool:
                    order.append(self.name)
                    return super().write(data)

            for _ in range(500):
                h.follow(busy, Noting("busy"))
            h.follow(calm, Noting("calm"))
            await asyncio.sleep(0)
            await until(lambda: not h.machinery.bell._ready)
            busy_source.feed(b"x")
            calm_source.feed(b"y")
            await until(lambda: len(order) == 501)
            assert order.index("calm") < 100

    run(story())


def test_retention_takes_the_longest_closed_first_and_never_an_open_one() -> None:
    async def story() -> None:
        async with house() as h:
            streams = []
            for _ in range(4):
                stream, source = h.fed()
                source.feed(b"x" * 100)
                streams.append((stream, source))
                h.clock.now += 1
            for _, source in (streams[2], streams[0], streams[1]):
                source.stop(EndingKind.COMPLETED, "")
                h.clock.now += 1
            gone = await h.catalogue.retention.retire("chat/", age=10**6, size=250)
            assert gone == 2
            left = {info.name for info in (await h.catalogue.page("chat/")).streams}
            assert left == {streams[1][0].name, streams[3][0].name}
            h.clock.now += 100
            assert await h.catalogue.retention.retire("chat/", age=50, size=10**6) == 1
            left = {info.name for info in (await h.catalogue.page("chat/")).streams}
            assert left == {streams[3][0].name}

    run(story())


def test_a_stream_nobody_needs_is_not_kept_in_memory() -> None:
    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            name = stream.name
            source.feed(b"x")
            pipe = Pipe()
            h.follow(stream, pipe)
            source.stop(EndingKind.COMPLETED, "")
            await until(lambda: pipe.whole is True)
            pipe.owner = None
            del stream, source
            await until(lambda: not list(h.catalogue.in_memory.values()))
            again = await h.catalogue.get(name)
            reader = Pipe()
            h.follow(again, reader)
            await until(lambda: reader.whole is True)
            assert reader.data == b"x"

    run(story())


def test_feeding_after_the_end_is_refused() -> None:
    async def story() -> None:
        async with house() as h:
            stream, source = h.fed()
            source.stop(EndingKind.CUT, "")
            assert stream.ending is not None
            with pytest.raises(StreamIsClosed):
                Feeder(stream).feed(b"x")
            with pytest.raises(StreamIsClosed):
                stream.end(EndingKind.FAILED)
            assert stream.ending.kind is EndingKind.CUT

    run(story())
