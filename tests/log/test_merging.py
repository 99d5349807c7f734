"""Several streams in one body: nothing lost, nothing twice, no event within another."""

from __future__ import annotations

import asyncio
import random
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.log.cursor import SLICE, Condition, Cursor
from tailrace.log.making import Forking, Making
from tailrace.log.merging import Lane, Merge
from tailrace.log.stream import Stream
from tailrace.model import EndingKind, format_offset
from tailrace.views.merged import MergedSseView
from tailrace.wire.sse import Parser
from tests.log.harness import Feeder, House, Pipe, house, run, until


class Strict(Pipe):
    """A pipe into which nothing may be written while it is full."""

    broken = False

    def write(self, data: bytes) -> bool:
        self.broken = self.broken or self.room <= 0 or len(data) > SLICE
        return super().write(data)


def fed(h: House) -> tuple[Stream, Feeder]:
    stream = h.catalogue.create_secret("chat/", "application/json", "feeder")
    return stream, Feeder(stream)


def cursor(h: House, stream: Stream, lane: Lane, seq: int = 0) -> Cursor:
    generation = stream.generation if stream.info.ancestry else ""
    view = MergedSseView(stream.content_type, generation)
    return h.catalogue.follow(stream, view, lane, seq)


def merged(h: House, pipe: Pipe, *streams: Stream) -> Merge:
    merge = h.catalogue.merges.make(pipe)
    for stream in streams:
        merge.add(partial(cursor, h, stream))
    pipe.owner = merge
    merge.begin()
    return merge


def by_stream(body: bytes) -> dict[str, list[tuple[str, str, bytes]]]:
    """Of each generation what came: id, type, data."""
    parser = Parser(1 << 30)
    found: dict[str, list[tuple[str, str, bytes]]] = {}
    for event in parser.feed(body):
        found.setdefault(event.id.partition("_")[0], []).append((event.id, event.type, event.data))
    return found


def wanted(stream: Stream, data: list[bytes]) -> list[tuple[str, str, bytes]]:
    """What a reader of all of it is to get, its ending included."""
    events = [(format_offset(stream.generation, seq), "", each) for seq, each in enumerate(data, 1)]
    end = format_offset(stream.generation, len(data) + 1)
    return [*events, (end, "end", b'{"ending": "completed", "reason": ""}')]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), st.integers(0, 2), st.integers(1, 3 * SLICE)),
        st.tuples(st.just("few"), st.integers(0, 2), st.integers(1, 40)),
        st.tuples(st.just("end"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("take"), st.just(0), st.integers(1, 3 * SLICE)),
        st.tuples(st.just("turn"), st.just(0), st.integers(1, 3)),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(steps=STEPS, window=st.sampled_from([1, 20_000, 10**7]), before=st.integers(0, 3))
def test_each_stream_comes_whole_and_in_order_however_full_the_sink_is(
    steps: list[tuple[str, int, int]], window: int, before: int
) -> None:
    async def story() -> None:
        async with house(window=window) as h:
            streams, feeders = zip(*[fed(h) for _ in range(3)], strict=True)
            data: list[list[bytes]] = [[], [], []]

            def feed(which: int, size: int) -> None:
                if streams[which].ending is None:
                    data[which].append(b'"%b"' % (b"x" * size))
                    feeders[which].feed(data[which][-1])

            for which in range(3):
                for _ in range(before):
                    feed(which, 20_000)
            pipe = Strict(room=SLICE)
            merged(h, pipe, *streams)
            for step, which, amount in steps:
                if step == "feed":
                    feed(which, amount)
                elif step == "few":
                    for _ in range(amount):
                        feed(which, amount)
                elif step == "end" and streams[which].ending is None:
                    feeders[which].stop(EndingKind.COMPLETED, "")
                elif step == "take" and pipe.room <= 0 and pipe.whole is None:
                    pipe.take(amount)
                for _ in range(amount if step == "turn" else 0):
                    await asyncio.sleep(0)
            for feeder in feeders:
                feeder.stop(EndingKind.COMPLETED, "")

            def drained() -> bool:
                if pipe.room <= 0 and pipe.whole is None:
                    pipe.take(SLICE)
                return pipe.whole is not None

            await until(drained)
            assert pipe.whole
            assert not pipe.broken
            got = by_stream(pipe.data)
            for stream, all_of_it in zip(streams, data, strict=True):
                assert got[stream.generation] == wanted(stream, all_of_it)
                assert not stream.watched

    run(story())


def test_streams_with_much_to_say_take_turns() -> None:
    async def story() -> None:
        async with house(window=10**7) as h:
            pairs = [fed(h) for _ in range(3)]
            for _, feeder in pairs:
                for n in range(50):
                    feeder.feed(b'"%b"' % random.Random(n).randbytes(5000).hex().encode())
            pipe = Strict(room=1)
            merged(h, pipe, *[stream for stream, _ in pairs])
            for _ in range(12):
                await asyncio.sleep(0)
                if pipe.room <= 0:
                    pipe.take(1)
            counts = [len(by_stream(pipe.data).get(s.generation, [])) for s, _ in pairs]
            assert min(counts) > 0
            assert max(counts) - min(counts) <= 3  # events of one slice

    run(story())


def test_an_event_of_many_slices_stands_alone_and_then_the_others_have_their_turn() -> None:
    async def story() -> None:
        async with house(window=10**8) as h:
            large, small = fed(h), fed(h)
            pipe = Strict()
            merged(h, pipe, large[0], small[0])
            await asyncio.sleep(0)
            for _ in range(8):
                large[1].feed(b'"%b"' % (b"L" * 20 * SLICE))
            small[1].feed(b'"s"')
            await until(lambda: pipe.data.count(b'L"') == 8)
            generations = [event.id[:26] for event in Parser(1 << 30).feed(pipe.data)]
            assert generations.index(small[0].generation) <= 2
            assert len(generations) == 9

    run(story())


def test_a_client_that_takes_nothing_costs_places_and_is_let_go_in_the_end() -> None:
    async def story() -> None:
        async with house(window=1000, patience=60) as h:
            pairs = [fed(h) for _ in range(4)]
            pipe = Strict(room=1)
            merge = merged(h, pipe, *[stream for stream, _ in pairs])
            for _ in range(200):
                for _, feeder in pairs:
                    feeder.feed(b'"%b"' % (b"x" * 1000))
                await asyncio.sleep(0)
            assert len(pipe.writes) == 1
            cursors = [each for stream, _ in pairs for each in stream.cursors]
            assert {each.condition for each in cursors} <= {
                Condition.BLOCKED,
                Condition.FETCHING,
            }
            assert merge.look(h.clock.now + 59) is not None
            assert merge.look(h.clock.now + 60) is None
            assert pipe.whole is False
            assert not any(stream.watched for stream, _ in pairs)

    run(story())


def test_one_heartbeat_for_all_and_none_where_something_was_said() -> None:
    async def story() -> None:
        async with house(heartbeat=15) as h:
            pairs = [fed(h) for _ in range(5)]
            pipe = Strict()
            merge = merged(h, pipe, *[stream for stream, _ in pairs])
            await asyncio.sleep(0)
            h.clock.now += 15
            for stream, _ in pairs:
                for each in stream.cursors:
                    each.look(h.clock.now)
            assert merge.look(h.clock.now) == h.clock.now + 15
            assert pipe.data == b": ping\n\n"
            h.clock.now += 5
            pairs[0][1].feed(b"1")
            await until(lambda: b"data: 1" in pipe.data)
            assert merge.look(h.clock.now + 10) == h.clock.now + 15
            assert pipe.data.count(b"ping") == 1

    run(story())


def test_an_ending_ends_its_stream_alone_and_the_last_ends_the_body() -> None:
    async def story() -> None:
        async with house() as h:
            (one, first), (two, second) = fed(h), fed(h)
            pipe = Strict()
            merged(h, pipe, one, two)
            first.feed(b"1")
            await h.catalogue.delete(one.name)
            await until(lambda: b"expired" in pipe.data)
            assert pipe.whole is None
            second.feed(b"2")
            second.stop(EndingKind.COMPLETED, "")
            await until(lambda: pipe.whole is True)
            assert by_stream(pipe.data)[two.generation] == wanted(two, [b"2"])

    run(story())


def test_what_is_deleted_within_an_event_cuts_the_body() -> None:
    async def story() -> None:
        async with house(window=10**7) as h:
            stream, feeder = fed(h)
            feeder.feed(b'"%b"' % (b"x" * 5 * SLICE))
            pipe = Strict(room=1)
            merged(h, pipe, stream, fed(h)[0])
            await until(lambda: bool(pipe.data))
            await h.catalogue.delete(stream.name)
            pipe.take(1)
            await until(lambda: pipe.whole is False)
            assert b"expired" not in pipe.data

    run(story())


def test_who_goes_away_says_when_to_come_back_once() -> None:
    async def story() -> None:
        async with house() as h:
            pipe, empty = Strict(), Strict()
            merged(h, pipe, fed(h)[0], fed(h)[0])
            merged(h, empty)
            assert empty.whole is True
            h.catalogue.send_off(lambda: 1234)
            assert (pipe.data, pipe.whole) == (b"retry: 1234\n\n", False)

    run(story())


def test_a_client_that_left_before_it_began_is_nobody() -> None:
    async def story() -> None:
        async with house() as h:
            stream, _ = fed(h)
            merge = h.catalogue.merges.make(Strict())
            merge.add(partial(cursor, h, stream))
            merge.lost()
            merge.begin()
            assert not stream.watched

    run(story())


def test_inherited_events_have_the_forks_own_generation() -> None:
    async def story() -> None:
        async with house() as h:
            parent, _ = await h.catalogue.put("p", Making("application/json"), [("data", b"1")])
            wish = Forking("p", close=True)
            fork, _ = await h.catalogue.fork("f", wish, [("data", b"2")])
            pipe = Strict()
            merged(h, pipe, parent, fork)
            await until(lambda: b"event: end" in pipe.data)
            got = by_stream(pipe.data)
            assert [event[2] for event in got[parent.generation]] == [b"1"]
            assert [event[2] for event in got[fork.generation]][:2] == [b"1", b"2"]

    run(story())
