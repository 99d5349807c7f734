"""A source that is code in this process: how its stream ends, and whom a stop cancels."""

from __future__ import annotations

import asyncio

import pytest

from tailrace.errors import StreamIsClosed
from tailrace.log.live_source import LiveSource
from tailrace.log.stream import Stream
from tailrace.model import DATA, EndingKind
from tests.log.harness import House, house, run


async def live(h: House, name: str = "n") -> tuple[Stream, LiveSource]:
    stream = await h.catalogue.create(name, "text/plain", LiveSource.kind)
    return stream, LiveSource(stream, h.catalogue.touch)


def test_what_it_feeds_is_shown_at_once_and_it_ends_completed() -> None:
    async def test() -> None:
        async with house() as h:
            stream, source = await live(h)
            async with source:
                source.feed([(DATA, b"a"), (DATA, b"b")])
                assert stream.visible == 2
            assert stream.ending is not None
            assert stream.ending.kind is EndingKind.COMPLETED

    run(test())


def test_a_stop_from_within_the_block_cancels_nothing_behind_it() -> None:
    async def test() -> None:
        async with house() as h:
            _, source = await live(h)
            async with source:
                source.stop(EndingKind.CANCELLED, "")
                source.feed([(DATA, b"never")])
            await asyncio.sleep(0)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    run(test())


def test_a_stop_before_the_block_cancels_the_block() -> None:
    async def test() -> None:
        async with house() as h:
            stream, source = await live(h)
            source.stop(EndingKind.CANCELLED, "Enough.")
            reached = False
            async with source:
                await asyncio.sleep(0)
                reached = True
            assert not reached
            assert stream.ending is not None
            assert stream.ending.reason == "Enough."

    run(test())


def test_an_exception_is_named_by_its_type_alone_and_goes_on() -> None:
    async def test() -> None:
        async with house() as h:
            stream, source = await live(h)
            with pytest.raises(ValueError, match="a secret"):
                async with source:
                    raise ValueError("a secret")
            assert stream.ending is not None
            assert stream.ending.kind is EndingKind.FAILED
            assert stream.ending.reason == "What was filling it failed: ValueError."
            with pytest.raises(StreamIsClosed):
                source.feed([(DATA, b"more")])

    run(test())
