"""GET and HEAD of a stream: what there is, what comes, or both as events.

    asked for                                answer
    ---------------------------------------  ------------------------------------------------
    nothing in particular                    what there is after the offset, up to a chunk
    live=long-poll                           the same, as soon as there is something
    live=sse                                 the protocol's event stream: data and control
    Accept: text/event-stream, or view=…,    a view of ours, followed to the stream's end
    or Last-Event-ID

``live`` beats ``view``, and either beats Accept: some clients send both.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import Final

from tailrace.contracts import Headers
from tailrace.errors import BadRequest, MalformedOffset, NotFound, ShuttingDown, TailraceError
from tailrace.log.lifecycle import State
from tailrace.log.places import EARLIEST, LATEST
from tailrace.log.reading import read_range
from tailrace.log.stream import Stream
from tailrace.model import Event, Offset
from tailrace.patience import timeout
from tailrace.streams import headers as say
from tailrace.streams.chunk_body import ChunkBody
from tailrace.views import make_view
from tailrace.views.durable import ControlMarker, DurableView
from tailrace.views.sse import SseView
from tailrace.web.bodies import ReadQuery, parse_read_query
from tailrace.web.exchange import Exchange
from tailrace.web.paths import name_of
from tailrace.web.services import Services
from tailrace.web.stream_response import STREAMING, view_stream, visit
from tailrace.wire.durable import etag, is_base64, matches
from tailrace.wire.live_cursor import MAX_JITTER, next_cursor
from tailrace.wire.media_type import essence_of
from tailrace.wire.sse import encode_event

# Data bytes in one answer: one read of the store, which those who read the same place share.
_CHUNK: Final = 256 * 1024
_BASE64: Final = (b"stream-sse-data-encoding", b"base64")
_UP_TO_DATE: Final = (b"stream-up-to-date", b"true")


async def describe(exchange: Exchange, services: Services) -> None:
    """HEAD: what there is to know. Not a use, as far as a TTL is concerned."""
    stream = await services.catalogue.get(name_of(exchange.path, exchange.roots))
    fields = [
        *say.content_fields(stream),
        *say.tail_fields(stream),
        *say.expiry_fields(stream),
        say.caching(exchange, services, stream, of_now=True),
    ]
    await exchange.respond(200, fields)


async def read(exchange: Exchange, services: Services) -> None:
    """GET, in whichever way it was asked for."""
    query = parse_read_query(exchange.query)
    stream = await services.catalogue.get(name_of(exchange.path, exchange.roots))
    visit(services.catalogue, stream)
    if query.live is not None:
        await _live(exchange, services, stream, query)
    elif query.view is not None or exchange.asks_for_events():
        await _view(exchange, services, stream, query)
    else:
        await _catch_up(exchange, services, stream, query)


# --- what there is ----------------------------------------------------------------------------


async def _catch_up(
    exchange: Exchange, services: Services, stream: Stream, query: ReadQuery
) -> None:
    place = services.catalogue.place(stream, query.offset or EARLIEST)
    now = query.offset == LATEST
    events = [] if now else await _chunk(stream, place)
    end = events[-1].seq if events else place
    fields = _chunk_fields(exchange, services, stream, query, place=place, end=end)
    tag = dict(fields).get(b"etag")
    if tag and matches(exchange.header(b"if-none-match") or b"", tag):
        await exchange.respond(304, _without_content(fields))
        return
    await _send(exchange, services, fields, ChunkBody(stream, place, events))


async def _chunk(stream: Stream, place: int) -> list[Event]:
    events = await read_range(stream, place, _CHUNK)
    if stream.state is State.GONE:  # meanwhile; what its readers are told is not that it closed
        raise NotFound("The stream was deleted.")
    return events


async def _send(
    exchange: Exchange, services: Services, fields: say.Fields, body: ChunkBody
) -> None:
    """A whole answer, as fast as its client takes it, and not much slower than it may."""
    await exchange.start(200, [*fields, (b"content-length", b"%d" % body.length)])
    try:
        while piece := await body.next():
            async with timeout(services.rules.viewer_timeout):
                await exchange.write(piece)
            await asyncio.sleep(0)  # who takes all at once is not served at once with all
    except (TimeoutError, TailraceError):  # it takes nothing, or there is no more to take
        exchange.abort()
        return
    await exchange.write(b"", more=False)


def _chunk_fields(
    exchange: Exchange,
    services: Services,
    stream: Stream,
    query: ReadQuery,
    *,
    place: int,
    end: int,
) -> say.Fields:
    """Of what lies between two places; nothing, where they are the same."""
    now = query.offset == LATEST
    fields = [*say.content_fields(stream), say.next_offset(stream, end), (b"vary", b"Accept")]
    fields.append(say.caching(exchange, services, stream, of_now=now))
    more = end < stream.visible
    if not more:
        fields += [_UP_TO_DATE, *say.closed_fields(stream)]
    if not now:
        # What is said beside the data is part of what may be said again with 304.
        state = "more" if more else "open" if stream.ending is None else "closed"
        fields.append((b"etag", etag(stream.generation, place, end, state)))
    return fields


def _without_content(fields: say.Fields) -> say.Fields:
    return [field for field in fields if field[0] != b"content-type"]


# --- what comes -------------------------------------------------------------------------------


async def _live(exchange: Exchange, services: Services, stream: Stream, query: ReadQuery) -> None:
    if query.live not in ("long-poll", "sse"):
        raise BadRequest("'live' must be long-poll or sse.")
    seen = exchange.header(b"last-event-id") if query.live == "sse" else None
    if query.offset is None and not seen:
        raise BadRequest("A live read needs an offset: -1, now, or one that this server gave.")
    if query.live == "sse":
        await _events(exchange, services, stream, query)
    else:
        await _long_poll(exchange, services, stream, query)


async def _long_poll(
    exchange: Exchange, services: Services, stream: Stream, query: ReadQuery
) -> None:
    place = services.catalogue.place(stream, query.offset or EARLIEST)
    events = await _chunk(stream, place)
    if not events and stream.ending is None:
        with services.long_polls:
            await _wait(exchange, stream, place, services.rules.long_poll_timeout)
        events = await _chunk(stream, place)
    end = events[-1].seq if events else min(place, stream.visible)
    fields = _chunk_fields(exchange, services, stream, query, place=place, end=end)
    if stream.ending is None or end < stream.visible:
        fields.append((b"stream-cursor", _cursor(query).encode()))
    if events:
        await _send(exchange, services, fields, ChunkBody(stream, place, events))
        return
    kept = [field for field in fields if field[0] not in (b"cache-control", b"etag")]
    await exchange.respond(204, [*_without_content(kept), say.NO_STORE])


async def _wait(exchange: Exchange, stream: Stream, place: int, patience: float) -> None:
    """Until there is news, ``patience`` is over, or the server goes away. Raises ClientGone."""
    # The last two are no failure: what there is to say can be said.
    with suppress(TimeoutError, ShuttingDown):
        await exchange.unless_gone(asyncio.wait_for(stream.changed(place), patience))


def _cursor(query: ReadQuery) -> str:
    return next_cursor(time.time(), query.cursor, random.randint(1, MAX_JITTER))  # noqa: S311


# --- as events --------------------------------------------------------------------------------


async def _events(exchange: Exchange, services: Services, stream: Stream, query: ReadQuery) -> None:
    """live=sse."""
    place = await _place_seen(exchange, services, stream, query)
    if place is None:
        return
    marker = ControlMarker(lambda: _cursor(query), stream.generation, lambda: stream.ending)
    await exchange.start(200, _event_fields(services, stream))
    await view_stream(
        exchange,
        services.catalogue,
        stream,
        DurableView(stream.content_type),
        place,
        marker=marker,
        lifetime=services.rules.sse_lifetime,
    )


async def _view(exchange: Exchange, services: Services, stream: Stream, query: ReadQuery) -> None:
    """A view of ours."""
    place = await _place_seen(exchange, services, stream, query)
    if place is None:
        return
    name = query.view or SseView.name
    view = make_view(name, stream.content_type)
    is_sse = essence_of(view.media_type) == "text/event-stream"
    if is_sse:
        fields = _event_fields(services, stream)
    else:
        fields = _view_fields(services, stream, view.media_type)
    await exchange.start(200, fields)
    fresh = not exchange.header(b"last-event-id") and query.offset in (None, EARLIEST)
    if name == SseView.name and stream.trimmed and fresh:
        await exchange.write(gap(stream))
    await view_stream(exchange, services.catalogue, stream, view, place)


def gap(stream: Stream) -> bytes:
    """What is said to who reads from the start, of events that are no longer kept."""
    data = b'{"missing":%d}' % stream.trimmed
    return encode_event(data, event="gap", event_id=str(Offset(stream.generation, stream.trimmed)))


async def _place_seen(
    exchange: Exchange, services: Services, stream: Stream, query: ReadQuery
) -> int | None:
    """Where to read on; None: the client has seen the stream's end, and has been told so."""
    seen = exchange.header(b"last-event-id")
    place = services.catalogue.place(stream, _offset(seen) if seen else query.offset or EARLIEST)
    if seen and stream.ending is not None and place >= stream.ending.seq:
        # EventSource reconnects after every end of a body, and stops only at this (HTML, 9.2.3).
        await exchange.respond(204, [*say.SECURITY, *say.tail_fields(stream), say.NO_STORE])
        return None
    return place


def _offset(seen: bytes) -> Offset:
    offset = Offset.parse(seen.decode("latin-1"))
    if offset is None:
        raise MalformedOffset("This Last-Event-ID is none of ours; send one that we gave, or none.")
    return offset


def _event_fields(services: Services, stream: Stream) -> say.Fields:
    fields = _view_fields(services, stream, b"text/event-stream")
    return [*fields, _BASE64] if is_base64(stream.content_type) else fields


def _view_fields(services: Services, stream: Stream, media_type: bytes) -> say.Fields:
    private: Headers = ((b"cache-control", b"private, no-store"), (b"x-accel-buffering", b"no"))
    caching = private if services.namespaces.of(stream.name).private else STREAMING
    return [(b"content-type", media_type), *say.SECURITY, (b"vary", b"Accept"), *caching]
