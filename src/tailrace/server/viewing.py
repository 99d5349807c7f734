"""A stream as a response: one cursor, followed until the stream's end or the client's leaving."""

from __future__ import annotations

import asyncio

from tailrace.contracts import Headers, View
from tailrace.log.catalogue import Catalogue
from tailrace.log.cursor import Cursor
from tailrace.log.stream import Stream
from tailrace.server.exchange import Exchange, end_task
from tailrace.server.sink import AsgiSink

# What keeps caches and proxies from holding back, storing or compressing what should flow.
STREAMING: Headers = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


async def view_stream(
    exchange: Exchange, catalogue: Catalogue, stream: Stream, view: View, seq: int
) -> None:
    """Send ``stream`` in ``view`` after place ``seq``. The response's head has gone out."""
    sink = AsgiSink(exchange.send, exchange.break_off)
    cursor = catalogue.follow(stream, view, sink, seq)
    leaving = asyncio.ensure_future(_watch(exchange, cursor, sink))
    try:
        stream.attach(cursor)
        whole = await sink.run(cursor)
    finally:
        cursor.lost()
        await end_task(leaving)
    if exchange.entry.left or exchange.entry.aborted:
        return
    if whole:
        await exchange.write(b"", more=False)
    else:
        exchange.abort()


async def _watch(exchange: Exchange, cursor: Cursor, sink: AsgiSink) -> None:
    await exchange.gone()
    exchange.entry.left = not exchange.entry.aborted
    cursor.lost()
    sink.finish(whole=False)
