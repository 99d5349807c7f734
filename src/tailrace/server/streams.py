"""``/streams``: reading, listing, stopping and deleting streams."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qs

from tailrace.contracts import Headers
from tailrace.errors import BadRequest, MalformedOffset, StreamHasSource
from tailrace.log.catalogue import EARLIEST
from tailrace.log.stream import Stream
from tailrace.model import EndingKind, Offset, StreamInfo
from tailrace.server.answers import stream_url
from tailrace.server.exchange import Exchange
from tailrace.server.requests import parse_read_query
from tailrace.server.services import CHAT, Services
from tailrace.server.viewing import STREAMING, view_stream
from tailrace.views import make_view
from tailrace.wire.names import parse_name

ROOT: Final = "/streams/"
# A page of the list: enough for a screen, and at most as many as one answer of the store.
_PAGE: Final = 50
_PAGE_MAX: Final = 500
_STOPPED: Final = "Stopped by a client."


async def _named(exchange: Exchange, services: Services) -> Stream:
    name = parse_name(exchange.path.removeprefix(ROOT).encode("latin-1"))
    return await services.catalogue.get(name)


def _facts(stream: Stream) -> list[tuple[bytes, bytes]]:
    """What a head says of a stream (the names are those of the Durable Streams protocol)."""
    fields = [(b"stream-next-offset", str(stream.info.tail).encode())]
    if stream.ending is not None:
        fields.append((b"stream-closed", b"true"))
        fields.append((b"stream-ending", stream.ending.kind.value.encode()))
    return fields


def _caching(stream: Stream) -> Headers:
    if stream.name.startswith(CHAT):
        return ((b"cache-control", b"private, no-store"), (b"x-accel-buffering", b"no"))
    return STREAMING


async def read(exchange: Exchange, services: Services) -> None:
    """GET /streams/{name}: from a place, in a view, then live until the stream ends."""
    query = parse_read_query(exchange.query)
    stream = await _named(exchange, services)
    seen = exchange.header(b"last-event-id")
    place = services.catalogue.place(stream, _offset(seen) if seen else query.offset or EARLIEST)
    if seen and stream.ending is not None and place >= stream.ending.seq:
        # EventSource reconnects after every end of a body, and stops only at this (HTML, 9.2.3).
        await exchange.respond(204, _facts(stream))
        return
    view = make_view(query.view or "sse", stream.content_type)
    fields = [(b"content-type", view.media_type), (b"vary", b"Accept"), *_caching(stream)]
    await exchange.start(200, fields)
    await view_stream(exchange, services.catalogue, stream, view, place)


def _offset(seen: bytes) -> Offset:
    offset = Offset.parse(seen.decode("latin-1"))
    if offset is None:
        raise MalformedOffset("This Last-Event-ID is none of ours; send one that we gave, or none.")
    return offset


async def describe(exchange: Exchange, services: Services) -> None:
    """HEAD /streams/{name}."""
    stream = await _named(exchange, services)
    content_type = (b"content-type", stream.content_type.encode("latin-1"))
    await exchange.respond(200, [content_type, *_facts(stream), *_caching(stream)])


async def stop(exchange: Exchange, services: Services) -> None:
    """POST /streams/{name} with ``Stream-Closed: true``: stop its source, close the stream.

    Returns once the ending is durable.
    """
    stream = await _named(exchange, services)
    if (exchange.header(b"stream-closed") or b"").strip().lower() != b"true":
        raise StreamHasSource(
            "A source fills this stream, so nobody else can append to it; "
            "send Stream-Closed: true to stop it."
        )
    services.catalogue.stop(stream, EndingKind.CANCELLED, _STOPPED)
    await stream.committed()
    await exchange.respond(204, _facts(stream))


async def delete(exchange: Exchange, services: Services) -> None:
    """DELETE /streams/{name}."""
    stream = await _named(exchange, services)
    await services.catalogue.delete(stream.name)
    await exchange.respond(204)


async def listing(exchange: Exchange, services: Services) -> None:
    """GET /streams?prefix=…&limit=…&before=…: newest first, a page at a time."""
    query = parse_qs(exchange.query.decode("latin-1"), errors="replace")
    prefix = query.get("prefix", [""])[0]
    before = query.get("before", [""])[0]
    limit = _limit(query.get("limit", [str(_PAGE)])[0])
    page = await services.catalogue.page(prefix, before=before, limit=limit)
    body = {
        "streams": [_described(info) for info in page.streams],
        "next": page.streams[-1].generation if len(page.streams) == limit else None,
        "total": {"streams": page.total_streams, "bytes": page.total_size},
    }
    fields = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await exchange.respond(200, fields, json.dumps(body).encode())


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _PAGE_MAX:
        return int(text[:6])
    raise BadRequest(f"'limit' must be a whole number from 1 to {_PAGE_MAX}.")


def _described(info: StreamInfo) -> dict[str, Any]:
    ending = info.ending
    return {
        "name": info.name,
        "url": stream_url(info.name),
        "content_type": info.content_type,
        "created": info.created,
        "source": info.source or None,
        "events": info.last_seq,
        "bytes": info.size,
        "offset": str(info.tail),
        "ending": None
        if ending is None
        else {"kind": ending.kind.value, "reason": ending.reason, "time": ending.time},
    }
