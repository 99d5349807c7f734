"""``Streams`` in a plain asyncio program."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

import tailrace
from tailrace import Event, Handle, Live, NotFound, NotWhole, StreamExists, StreamIsClosed, Streams
from tailrace.errors import (
    BadRequest,
    ConfigError,
    MalformedName,
    OffsetGone,
    ShuttingDown,
    StoreLocked,
    StoreOverloaded,
    StreamHasSource,
)


async def told(handle: Handle, offset: str = "-1") -> tuple[list[Event], str]:
    """What a follower gets, and how it ends."""
    events = []
    try:
        async for event in handle.follow(offset):
            events.append(event)
    except NotWhole as error:
        return events, error.ending.kind.value
    return events, "completed"


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events]


def test_what_was_appended_is_followed_live_and_from_any_offset_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with Streams(f"sqlite:{tmp_path / 's.db'}") as streams:
            handle = await streams.create("notes/today")
            assert handle.url == "/streams/notes/today"
            live = asyncio.create_task(told(handle))
            offset = await handle.append("one")
            assert handle.offset == offset
            await handle.append("two", type="aside")
            await handle.append(b"three")
            late = asyncio.create_task(told(handle, offset))
            await handle.close()
            await handle.close()
            events, how = await live
            assert (texts(events), how) == (["one", "two", "three"], "completed")
            assert [event.type for event in events] == ["data", "aside", "data"]
            assert (await late)[0] == events[1:]
            with pytest.raises(StreamIsClosed):
                await handle.append("four")
        async with Streams(f"sqlite:{tmp_path / 's.db'}") as streams:
            handle = await streams.get("notes/today")
            assert await handle.read() == events
            assert await told(handle, events[1].offset) == (events[2:], "completed")
            assert handle.ending is not None

    asyncio.run(main())


def test_a_json_stream_takes_what_json_can_say() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:
            handle = await streams.create("j", content_type="application/json")
            for value in ({"a": [1, None]}, "ü", 7, b'{"n":1.0}'):
                await handle.append(value)
            events = await handle.read()
            assert [event.json() for event in events] == [{"a": [1, None]}, "ü", 7, {"n": 1.0}]
            assert events[-1].data == b'{"n":1.0}'
            for wrong in (b"{", float("nan"), object()):
                with pytest.raises((TypeError, ValueError)):
                    await handle.append(wrong)
            text = await streams.create("t")
            with pytest.raises(TypeError, match="application/json"):
                await text.append({"a": 1})
            for kind in ("", "a\nb", "a\0", "end"):
                with pytest.raises(ValueError, match="type"):
                    await text.append("x", type=kind)

    asyncio.run(main())


def test_names_are_taken_once_and_freed_by_deleting() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:
            first = await streams.create("n", ttl=60)
            with pytest.raises(StreamExists):
                await streams.create("n", ttl=60)
            assert (await streams.create("n", exist_ok=True)).offset == first.offset
            with pytest.raises(StreamExists):
                await streams.create("n", content_type="application/json", exist_ok=True)
            with pytest.raises(MalformedName):
                await streams.create("a//b")
            with pytest.raises(BadRequest):
                await streams.create("o", content_type="text/plain, text/html")
            with pytest.raises(BadRequest):
                streams.live("o", content_type='text/plain; x="\u0131"')
            reader = asyncio.create_task(told(first))
            await asyncio.sleep(0)
            await streams.delete("n")
            assert await reader == ([], "expired")
            with pytest.raises(NotFound):
                await first.append("x")
            again = await streams.create("n")
            with pytest.raises(OffsetGone):
                await again.read(first.offset)
            assert [info.name for info in await streams.list("n")] == ["n"]
            assert await streams.list("m") == []

    asyncio.run(main())


def test_what_was_trimmed_is_refused_by_offset_and_left_out_from_the_start() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:
            handle = await streams.create("n")
            one, two, _ = [await handle.append(text) for text in ("one", "two", "three")]
            await streams.trim("n", two)
            assert texts(await handle.read()) == ["three"]
            with pytest.raises(OffsetGone):
                await handle.read(one)

    asyncio.run(main())


# --- sources ----------------------------------------------------------------------------------


def test_a_live_block_shows_at_once_and_ends_completed() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:
            async with streams.live("n") as out:
                out.write("one")
                assert texts(await out.handle.read()) == ["one"]
                with pytest.raises(StreamHasSource):
                    await out.handle.append("two")
                out.write("")
                await out.drain()
            assert out.handle.ending is not None
            assert out.handle.ending.kind == "completed"
            assert texts(await out.handle.read()) == ["one"]
            with pytest.raises(StreamIsClosed):
                out.write("three")

    asyncio.run(main())


def test_a_live_block_that_raises_ends_failed_and_does_not_say_what_the_exception_says() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:
            with pytest.raises(RuntimeError):
                async with streams.live("n") as out:
                    raise RuntimeError("the key is sk-123")
            ending = out.handle.ending
            assert ending is not None
            assert ending.kind == "failed"
            assert "RuntimeError" in ending.reason
            assert "sk-" not in ending.reason

    asyncio.run(main())


def test_a_live_block_that_is_cancelled_ends_cancelled_and_stays_cancelled() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:
            inside = asyncio.Event()

            async def work() -> None:
                async with streams.live("n"):
                    inside.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(work())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await told(await streams.get("n")))[1] == "cancelled"

    asyncio.run(main())


def test_a_live_block_that_is_stopped_is_left_and_the_code_behind_it_runs_on() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:

            async def work() -> str:
                async with streams.live("n") as out:
                    out.write("one")
                    closing = asyncio.create_task(out.handle.close("cancelled", "Enough."))
                    await asyncio.Event().wait()
                await closing
                await asyncio.sleep(0)
                return "went on"

            assert await asyncio.create_task(work()) == "went on"
            handle = await streams.get("n")
            assert handle.ending is not None
            assert (handle.ending.kind, handle.ending.reason) == ("cancelled", "Enough.")

    asyncio.run(main())


def test_end_says_more_than_an_exception_may() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:
            async with streams.live("n") as out:
                out.end("failed", "The model is on holiday.")
            assert out.handle.ending is not None
            assert out.handle.ending.reason == "The model is on holiday."

    asyncio.run(main())


def test_who_never_waits_for_a_slow_store_is_stopped_and_who_does_is_not(tmp_path: Path) -> None:
    piece, count = "x" * 65536, 40  # 2.5 MiB

    async def main() -> None:
        async with Streams(f"sqlite:{tmp_path / 's.db'}", max_uncommitted="64KiB") as streams:
            with pytest.raises(StoreOverloaded):
                async with streams.live("hasty") as out:
                    for _ in range(count):
                        out.write(piece)
            async with streams.live("patient") as out:
                for _ in range(count):
                    out.write(piece)
                    await out.drain()
            assert len(await out.handle.read()) == count

    asyncio.run(main())


def test_a_started_stream_is_filled_once_however_often_it_is_asked_for() -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:
            calls = 0

            async def fill(out: Live) -> None:
                nonlocal calls
                calls += 1
                out.write("once")

            starting = [streams.start("n", fill, exist_ok=True) for _ in range(3)]
            for handle in await asyncio.gather(*starting):
                assert texts((await told(handle))[0]) == ["once"]
            assert calls == 1
            with pytest.raises(StreamExists):
                await streams.start("n", fill)

    asyncio.run(main())


def test_what_a_started_task_raises_is_logged_and_its_stream_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with Streams("memory:") as streams:

            async def fill(_: Live) -> None:
                raise RuntimeError("why")

            assert (await told(await streams.start("n", fill)))[1] == "failed"

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert "why" in caplog.text


# --- the beginning and the end ----------------------------------------------------------------


def test_the_end_interrupts_what_runs_and_tells_who_follows(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 's.db'}"

    async def main() -> None:
        async with Streams(url) as streams:

            async def fill(out: Live) -> None:
                out.write("begun")
                await asyncio.Event().wait()

            live = await streams.start("live", fill)
            still = await streams.create("open")
            followers = [asyncio.create_task(told(handle)) for handle in (live, still)]
            while not await live.read():
                await asyncio.sleep(0)
        assert (await followers[0])[1] == "interrupted"
        with pytest.raises(ShuttingDown):
            await followers[1]
        with pytest.raises(RuntimeError, match="not open"):
            await streams.get("open")
        async with streams:
            handle = await streams.get("open")
            await handle.append("open still")
            events, how = await told(await streams.get("live"))
            assert (texts(events), how) == (["begun"], "interrupted")

    asyncio.run(main())


def test_a_second_opening_of_a_file_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with Streams(f"sqlite:{tmp_path / 's.db'}") as first:
            with pytest.raises(StoreLocked):
                await Streams(f"sqlite:{tmp_path / 's.db'}").__aenter__()
            with pytest.raises(RuntimeError, match="open already"):
                await first.__aenter__()

    asyncio.run(main())


def test_options_are_settings_by_name() -> None:
    Streams("memory:", heartbeat="30s", cors_origins=("https://app.example",))
    with pytest.raises(TypeError, match="heartbeat"):
        Streams("memory:", heartbeats=1)
    with pytest.raises(TypeError):
        Streams("memory:", upstream="http://127.0.0.1/v1")
    with pytest.raises(ConfigError, match="heartbeat must be"):
        Streams("memory:", heartbeat=-1)


def test_every_public_name_can_be_imported() -> None:
    assert len(tailrace.__all__) <= 12
    for name in tailrace.__all__:
        assert getattr(tailrace, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = tailrace.Nonsense
