"""PUT, POST and DELETE of a stream, as the Durable Streams protocol has them (5.1 to 5.4)."""

from __future__ import annotations

from typing import Final

from tailrace.contracts import Namespace, Right
from tailrace.errors import (
    BadRequest,
    Forbidden,
    RequestError,
    StreamDeleted,
    StreamHasSource,
    StreamIsClosed,
)
from tailrace.log.lifecycle import State
from tailrace.log.making import Forking, Making, Records, refuse_other_type
from tailrace.log.producers import Claim
from tailrace.log.stream import Stream
from tailrace.model import DATA, EndingKind
from tailrace.streams import headers as say
from tailrace.web.error_responses import problem
from tailrace.web.exchange import Exchange
from tailrace.web.paths import name_in_field, name_of
from tailrace.web.services import Services
from tailrace.wire import durable
from tailrace.wire.characters import pieces
from tailrace.wire.json.json_array import flatten
from tailrace.wire.media_type import is_json

_DEFAULT_TYPE: Final = "application/octet-stream"
_STOPPED: Final = "Stopped by a client."
# A longer body becomes several events: half of what a reader behind the window reads at once.
_PIECE: Final = 128 * 1024


async def put(exchange: Exchange, services: Services) -> None:
    """Create a stream, or a fork of one, or find it as it was created."""
    name = name_of(exchange.path, exchange.roots)
    namespace = services.namespaces.of(name)
    if namespace.closed_to_clients:
        raise Forbidden(namespace.closed_to_clients)
    given = _given_type(exchange)
    content_type = durable.parse_content_type(given) if given else None
    ttl, expires_at = _expiry(exchange)
    close = durable.is_closed_flag(exchange.header(b"stream-closed"))
    wish = _fork(exchange, Forking("", None, 0, content_type, ttl, expires_at, close))
    if wish is not None:
        source = services.namespaces.of(wish.source)
        exchange.decide(Right.READ_LINK, source).enforce()
        _refuse_to_publish(source, namespace)
    body = await services.bodies.read(exchange.receive, services.max_body, exchange.headers)
    if wish is None:
        making = Making(content_type or _DEFAULT_TYPE, ttl, expires_at, close)
        records = await _records(services, body.data, making.content_type)
        stream, created = await services.catalogue.put(name, making, records)
    else:
        records = await _fork_records(services, wish, body.data) if body.data else ()
        stream, created = await services.catalogue.fork(name, wish, records)
    fields = [*say.content_fields(stream), *say.tail_fields(stream), *say.expiry_fields(stream)]
    if created:
        fields.append((b"location", exchange.url()))
    await exchange.respond(201 if created else 200, [*fields, say.NO_STORE])


def _refuse_to_publish(source: Namespace, target: Namespace) -> None:
    """Raises Forbidden for a fork that more people could read than what it is forked from."""
    if source.read is Right.MANAGE and target.read is not Right.MANAGE:
        raise Forbidden(
            f"Streams below {source.prefix} are for who may manage; a fork elsewhere would not be."
        )


def _given_type(exchange: Exchange) -> bytes:
    """The Content-Type; empty where there is none; of several fields a list, which is no type."""
    return b", ".join(value for name, value in exchange.headers if name == b"content-type")


def _expiry(exchange: Exchange) -> tuple[int | None, int | None]:
    ttl, expires_at = exchange.header(b"stream-ttl"), exchange.header(b"stream-expires-at")
    if ttl is not None and expires_at is not None:
        raise BadRequest("Send Stream-TTL or Stream-Expires-At, not both.")
    return (
        None if ttl is None else durable.parse_ttl(ttl),
        None if expires_at is None else durable.parse_expires_at(expires_at),
    )


def _fork(exchange: Exchange, wish: Forking) -> Forking | None:
    source = exchange.header(b"stream-forked-from")
    offset = exchange.header(b"stream-fork-offset")
    sub_offset = exchange.header(b"stream-fork-sub-offset")
    if source is None:
        if offset is not None or sub_offset is not None:
            raise BadRequest("Say with Stream-Forked-From which stream is to be forked.")
        return None
    anchor = None if offset is None else durable.parse_fork_offset(offset)
    amount = 0 if sub_offset is None else durable.parse_sub_offset(sub_offset)
    if amount and anchor is None:
        raise BadRequest("Stream-Fork-Sub-Offset counts from Stream-Fork-Offset; send that, too.")
    name = name_in_field(source, exchange.base, exchange.roots)
    return wish._replace(source=name, anchor=anchor, sub_offset=amount)


async def _fork_records(services: Services, wish: Forking, body: bytes) -> Records:
    """What the fork's own part begins with; none where the fork will be refused anyway."""
    try:
        source = await services.catalogue.get(wish.source)
    except StreamDeleted:
        return ()
    if wish.content_type and is_json(wish.content_type) is not is_json(source.content_type):
        return ()
    return await _records(services, body, source.content_type)


async def _records(services: Services, body: bytes, content_type: str) -> Records:
    if not body:
        return ()
    if is_json(content_type):
        messages = await services.turns.run(flatten(body, services.max_messages))
        return [(DATA, message) for message in messages]
    text = durable.is_text(content_type)
    return [(DATA, piece) for piece in pieces(body, _PIECE, text=text)]


# --- appending and closing --------------------------------------------------------------------


async def post(exchange: Exchange, services: Services) -> None:
    """Append, close, or both at once; all of it or nothing, durable when it is answered."""
    stream = await services.catalogue.get(name_of(exchange.path, exchange.roots))
    services.catalogue.touch(stream)
    close = durable.is_closed_flag(exchange.header(b"stream-closed"))
    given = durable.parse_producer(
        exchange.header(b"producer-id"),
        exchange.header(b"producer-epoch"),
        exchange.header(b"producer-seq"),
    )
    claim = None if given is None else Claim(*given)
    seq = exchange.header(b"stream-seq")
    writer_seq = "" if seq is None else durable.parse_writer_seq(seq)
    body = await services.bodies.read(exchange.receive, services.max_body, exchange.headers)
    is_empty = not body.data
    if stream.state is State.FED:
        await _stop(exchange, services, stream, close=close and is_empty)
        return
    try:
        records = await _checked(exchange, services, stream, body.data, close=close)
        done = await stream.append(records, close=close, claim=claim, writer_seq=writer_seq)
    except StreamIsClosed as error:
        await _refuse_closed(exchange, stream, error)
        return
    fields = [*say.SECURITY, *say.tail_fields(stream), say.NO_STORE]
    if done.producer is not None:
        fields.append((b"producer-epoch", b"%d" % done.producer.epoch))
        fields.append((b"producer-seq", b"%d" % done.producer.seq))
    is_new_batch = done.producer is not None and not done.duplicate and not is_empty
    await exchange.respond(200 if is_new_batch else 204, fields)


async def _checked(
    exchange: Exchange, services: Services, stream: Stream, body: bytes, *, close: bool
) -> Records:
    """What is to be appended.

    Where the stream is closed, that comes before all else that is wrong (5.2, error precedence),
    so the body is not looked at: it is refused, or a retry of the batch that closed the stream.
    """
    if not body:
        if not close:
            raise BadRequest("An append needs a body; to close, send Stream-Closed: true.")
        return ()
    if stream.state is State.CLOSED:
        return [(DATA, body)]
    given = _given_type(exchange)
    if not given:
        raise BadRequest("An append needs a Content-Type: that of the stream.")
    refuse_other_type(durable.parse_content_type(given), stream.content_type)
    records = await _records(services, body, stream.content_type)
    if not records:
        raise BadRequest("An empty array appends nothing; send at least one message.")
    return records


async def _refuse_closed(exchange: Exchange, stream: Stream, error: RequestError) -> None:
    answer = problem(error, exchange.path, exchange.roots)
    fields = [*answer.headers, *say.tail_fields(stream)]
    await exchange.respond(answer.status, fields, answer.body)


async def _stop(exchange: Exchange, services: Services, stream: Stream, *, close: bool) -> None:
    """A stream with a source: closing it is stopping that; returns once the ending is durable."""
    if not close:
        raise StreamHasSource(
            "A source fills this stream, so nobody else can append to it; "
            "send Stream-Closed: true without a body to stop it."
        )
    services.catalogue.stop(stream, EndingKind.CANCELLED, _STOPPED)
    await stream.committed()
    await exchange.respond(204, [*say.SECURITY, *say.tail_fields(stream), say.NO_STORE])


async def delete(exchange: Exchange, services: Services) -> None:
    """DELETE: its readers are told, its bytes erased; kept out of sight while forks need it."""
    await services.catalogue.delete(name_of(exchange.path, exchange.roots))
    await exchange.respond(204, [*say.SECURITY, say.NO_STORE])
