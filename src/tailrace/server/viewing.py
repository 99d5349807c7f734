"""A stream as a response: one cursor, followed until the stream's end or the client's leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tailrace.contracts import Headers, Marker, View
from tailrace.log.catalogue import Catalogue
from tailrace.log.cursor import Condition, Cursor
from tailrace.log.stream import Stream
from tailrace.server.exchange import Exchange, end_task
from tailrace.server.sink import AsgiSink, TransportSink

_EVENTS: Final = b"text/event-stream"
# What keeps caches and proxies from holding back, storing or compressing what should flow.
STREAMING: Headers = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


def _nothing() -> None: ...


async def view_stream(
    exchange: Exchange,
    catalogue: Catalogue,
    stream: Stream,
    view: View,
    seq: int,
    *,
    marker: Marker | None = None,
    lifetime: float = 0,
    attached: Callable[[], None] = _nothing,
) -> None:
    """Send ``stream`` in ``view`` after place ``seq``. The response's head has gone out.

    The last thing that a handler does: under a server of ours this returns at once, and the
    response goes on without the request's task. ``lifetime``: seconds after which the body ends,
    for the client to ask for the rest; 0: none. ``attached`` is called once its client counts as
    a viewer.
    """
    if exchange.connection is not None:
        straight = TransportSink(exchange.connection, exchange.entry, catalogue.patience)
        cursor = catalogue.follow(stream, view, straight, seq, marker)
        _let_go(exchange, cursor, straight, lifetime)
        attached()
    else:
        sink = AsgiSink(exchange.send, exchange.break_off)
        cursor = catalogue.follow(stream, view, sink, seq, marker)
        cursor.stream.attach(cursor)
        attached()
        await _carry(exchange, cursor, sink, lifetime, events=view.media_type == _EVENTS)


def _let_go(exchange: Exchange, cursor: Cursor, sink: TransportSink, lifetime: float) -> None:
    sink.follow(cursor)
    exchange.goes_on = True
    if cursor.condition is Condition.DONE:  # the client has left already
        return
    if lifetime:
        sink.retiring = asyncio.get_running_loop().call_later(lifetime, cursor.retire)
    cursor.stream.attach(cursor)


async def _carry(
    exchange: Exchange, cursor: Cursor, sink: AsgiSink, lifetime: float, *, events: bool
) -> None:
    loop = asyncio.get_running_loop()
    retiring = loop.call_later(lifetime, cursor.retire) if lifetime else None
    leaving = asyncio.ensure_future(_watch(exchange, cursor, sink))
    try:
        whole = await sink.run(cursor)
    finally:
        if retiring is not None:
            retiring.cancel()
        cursor.lost()
        await end_task(leaving)
    if exchange.entry.left or exchange.entry.aborted:
        return
    # An event stream says by itself how it ended, or nothing, and then EventSource comes back. To
    # abort it would put a traceback for each reader into the log of a server that is not ours.
    if whole or events:
        await exchange.write(b"", more=False)
    else:
        exchange.abort()


async def _watch(exchange: Exchange, cursor: Cursor, sink: AsgiSink) -> None:
    await exchange.gone()
    exchange.entry.left = not exchange.entry.aborted
    cursor.lost()
    sink.finish(whole=False)
