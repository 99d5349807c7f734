"""A stream as a response: one cursor, followed until the stream's end or the client's leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from tailrace.contracts import Headers, Marker, Sink, SinkOwner, Source, View
from tailrace.log.catalogue import Catalogue
from tailrace.log.stream import Stream
from tailrace.web.exchange import Exchange, end_task
from tailrace.web.sinks import AsgiSink, TransportSink

_EVENTS: Final = b"text/event-stream"
# What keeps caches and proxies from holding back, storing or compressing what should flow.
STREAMING: Headers = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class BodyWriter(SinkOwner, Protocol):
    """Who writes a response's body: a cursor, or several as one."""

    def begin(self) -> None:
        """Write from now on, unless the client has left already."""
        ...

    def retire(self) -> None:
        """End the body after what was written, for the client to ask for the rest."""
        ...


def visit(catalogue: Catalogue, stream: Stream) -> None:
    """Somebody reads a stream by its own address: its TTL begins anew, and its source is told."""
    catalogue.touch(stream)
    source: Source | None = stream.source
    if source is not None:
        source.opened()


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

    The last thing that a handler does, as ``write_body`` is. ``attached`` is called once its
    client counts as a viewer.
    """
    await write_body(
        exchange,
        lambda sink: catalogue.follow(stream, view, sink, seq, marker),
        patience=catalogue.patience,
        lifetime=lifetime,
        events=view.media_type == _EVENTS,
        begun=attached,
    )


async def write_body(
    exchange: Exchange,
    make: Callable[[Sink], BodyWriter],
    *,
    patience: float,
    lifetime: float = 0,
    events: bool = True,
    begun: Callable[[], None] = _nothing,
) -> None:
    """Have the body written by the writer that is made for its sink. The head has gone out.

    The last thing that a handler does: under a server of ours this returns at once, and the
    response goes on without the request's task. ``patience``: seconds that the client may take
    nothing of the body's end. ``lifetime``: seconds after which the body ends, for the client to
    ask for the rest; 0: none. ``events``: the body is an event stream.
    """
    if exchange.connection is not None:
        straight = TransportSink(exchange.connection, exchange.outcome, patience)
        _let_go(exchange, make(straight), straight, lifetime)
        begun()
    else:
        sink = AsgiSink(exchange.send, exchange.break_off)
        writer = make(sink)
        writer.begin()
        begun()
        await _carry(exchange, writer, sink, lifetime, events=events)


def _let_go(exchange: Exchange, writer: BodyWriter, sink: TransportSink, lifetime: float) -> None:
    sink.follow(writer)
    exchange.goes_on = True
    if sink.over:  # the client has left already
        return
    if lifetime:
        sink.retiring = asyncio.get_running_loop().call_later(lifetime, writer.retire)
    writer.begin()


async def _carry(
    exchange: Exchange, writer: BodyWriter, sink: AsgiSink, lifetime: float, *, events: bool
) -> None:
    loop = asyncio.get_running_loop()
    retiring = loop.call_later(lifetime, writer.retire) if lifetime else None
    leaving = asyncio.ensure_future(_watch(exchange, writer, sink))
    try:
        whole = await sink.run(writer)
    finally:
        if retiring is not None:
            retiring.cancel()
        writer.lost()
        await end_task(leaving)
    if exchange.outcome.left or exchange.outcome.aborted:
        return
    # An event stream says by itself how it ended, or nothing, and then EventSource comes back. To
    # abort it would put a traceback for each reader into the log of a server that is not ours.
    if whole or events:
        await exchange.write(b"", more=False)
    else:
        exchange.abort()


async def _watch(exchange: Exchange, writer: BodyWriter, sink: AsgiSink) -> None:
    await exchange.gone()
    exchange.outcome.left = not exchange.outcome.aborted
    writer.lost()
    sink.finish(whole=False)
