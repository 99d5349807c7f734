"""The overview: what it costs beside very many streams."""

from __future__ import annotations

import asyncio
from typing import cast

from tailrace.console.overview import Overview
from tailrace.log.merging import Lane
from tests.log.harness import Feeder, House, house
from tests.loop_meter import LoopMeter, metered

OPEN = 100_000
# A look is to keep others waiting for a millisecond at most. In CPU time of this thread, with
# room for a slow machine that others use, too; at once it takes 70 ms.
LONGEST = 0.030


class Page:
    """A lane that takes everything."""

    def __init__(self) -> None:
        self.written = asyncio.Event()
        self.data = b""

    def write(self, data: bytes) -> bool:
        self.data += data
        self.written.set()
        return True


def test_a_look_at_very_many_running_streams_keeps_nobody_waiting_and_shows_the_newest() -> None:
    meter = LoopMeter()

    async def look(h: House) -> None:
        feeders = []
        for _ in range(OPEN):
            stream = h.catalogue.create_secret("chat/", "text/plain", Feeder.kind)
            feeders.append(Feeder(stream))
        overview, page = Overview(h.catalogue), Page()
        follower = overview.voice(cast("Lane", page))
        await asyncio.sleep(0)
        meter.reset()
        follower.begin()
        await page.written.wait()
        longest = meter.longest
        follower.lost()
        assert page.data.count(b'"viewers":0') == 200
        assert feeders[-1].stream.name.encode() in page.data
        assert longest < LONGEST

    async def scenario() -> None:
        async with house() as h:
            await look(h)

    metered(meter, scenario())
