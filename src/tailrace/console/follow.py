"""``POST /page/follow``: live events of many streams, and of the server, in one response.

A browser has six connections for a host of HTTP/1.1 (docs/adr/0017). So a page has one for all
that it shows. Whoever asks says where it is in each stream, and nothing is remembered of it: to
follow something else it asks again from the places where it is by then.

    event         id            data
    ------------  ------------  ---------------------------------------------------------
    ``stream``                  what a stream is, and the place from which it follows
    ``gone``                    a stream that cannot be followed, and why
    …             its offset    as the view ``sse`` has it; the id begins with the generation
    ``end``       the ending's  how that stream ended
    ``overview``                the server and its streams, about once a second

The response ends when all streams have, unless the overview is followed, too.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final, NamedTuple

from tailrace.console.services import ConsoleServices
from tailrace.contracts import Right, Sink
from tailrace.errors import BadRequest, RequestError, StoreError
from tailrace.log.cursor import Cursor
from tailrace.log.merging import Lane, Merge
from tailrace.log.places import EARLIEST
from tailrace.log.stream import Stream
from tailrace.model import Offset
from tailrace.streams.read import gap
from tailrace.views.merged import MergedSseView
from tailrace.web.exchange import Exchange
from tailrace.web.stream_response import visit, write_body
from tailrace.wire.durable import is_base64, parse_offset
from tailrace.wire.json.grammar import ARRAY
from tailrace.wire.json.json_edit import read_object
from tailrace.wire.json.scan import TooManyEntries, scan
from tailrace.wire.names import check_name
from tailrace.wire.slices import Work
from tailrace.wire.sse import encode_event

# More than a page can show at a time; each costs a cursor.
MAX_STREAMS: Final = 64
# As many of the longest names, each of their characters escaped, and their offsets.
_MAX_BODY: Final = 256 * 1024
_MAX_ENTRY: Final = 4 * 1024
_FIELDS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"private, no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Wish(NamedTuple):
    """What is to be followed."""

    streams: list[tuple[str, str]]
    """Names and offsets, as they were given."""
    overview: bool


class Place(NamedTuple):
    """Where one stream is to be followed from."""

    stream: Stream
    seq: int
    fresh: bool
    """Whether that is its start."""


def parse_follow(body: bytes) -> Work[Wish]:
    """Raises BadRequest where it is not of the form that docs/page.md gives."""
    fields = yield from read_object(body)
    overview, given = fields.get("overview") or b"false", fields.get("streams") or b"[]"
    if overview not in (b"true", b"false"):
        raise BadRequest("'overview' is true or false.")
    refusal = BadRequest(f"'streams' is an array of at most {MAX_STREAMS} objects.")
    if not given.startswith(b"["):
        raise refusal
    try:
        found = yield from scan(given, ARRAY, MAX_STREAMS)
    except TooManyEntries:
        raise refusal from None
    streams = [_wished(given[each.start : each.end]) for each in found.entries]
    if len(dict(streams)) < len(streams):
        raise BadRequest("'streams' names one twice.")
    return Wish(streams, overview == b"true")


def _wished(entry: bytes) -> tuple[str, str]:
    given: object = json.loads(entry) if len(entry) <= _MAX_ENTRY else None
    if isinstance(given, dict):
        name, offset = given.get("name"), given.get("offset", EARLIEST)
        if isinstance(name, str) and isinstance(offset, str):
            return name, offset
    raise BadRequest("Each of 'streams' has a 'name' and an 'offset', both of them texts.")


async def follow(exchange: Exchange, services: ConsoleServices) -> None:
    """The handler."""
    limit = min(_MAX_BODY, services.max_body)
    body = await services.core.bodies.read(exchange.receive, limit, exchange.headers)
    wish = await services.core.turns.run(parse_follow(body.data))
    del body
    places: list[Place] = []
    said: list[bytes] = []
    for name, offset in wish.streams:
        try:
            place = await _find(exchange, services, name, offset)
        except (RequestError, StoreError) as error:
            # The others are worth following all the same.
            said.append(_event("gone", {"name": name, "code": error.code}))
            continue
        places.append(place)
        said.append(_introduced(place))
    await exchange.start(200, _FIELDS)
    if said:
        await exchange.write(b"".join(said))
    await write_body(
        exchange,
        partial(_merged, services, places, wish.overview),
        patience=services.catalogue.patience,
    )


async def _find(exchange: Exchange, services: ConsoleServices, name: str, token: str) -> Place:
    """Raises RequestError or StoreError."""
    exchange.decide(Right.READ_LINK, services.core.namespaces.of(name)).enforce()
    offset = parse_offset(token)
    stream = await services.catalogue.get(check_name(name))
    visit(services.catalogue, stream)
    return Place(stream, services.catalogue.place(stream, offset), offset == EARLIEST)


def _introduced(place: Place) -> bytes:
    stream = place.stream
    described = {
        "name": stream.name,
        "generation": stream.generation,
        "content_type": stream.content_type,
        "created": stream.created,
        "offset": str(Offset(stream.generation, place.seq)),
    }
    if is_base64(stream.content_type):
        described["encoding"] = "base64"
    event = _event("stream", described)
    return event + gap(stream) if place.fresh and stream.trimmed else event


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return encode_event(json.dumps(data).encode("ascii"), event=kind)


def _merged(services: ConsoleServices, places: list[Place], overview: bool, below: Sink) -> Merge:
    merge = services.catalogue.merges.make(below)
    if overview:
        merge.add(services.overview.voice)
    for place in places:
        merge.add(partial(_cursor, services, place))
    return merge


def _cursor(services: ConsoleServices, place: Place, lane: Lane) -> Cursor:
    stream = place.stream
    view = MergedSseView(stream.content_type, stream.generation if stream.info.ancestry else "")
    return services.catalogue.follow(stream, view, lane, place.seq)
