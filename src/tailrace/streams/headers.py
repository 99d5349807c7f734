"""Header fields that responses about streams share, in the Durable Streams protocol's words."""

from __future__ import annotations

from typing import Final

from tailrace.contracts import Headers
from tailrace.log.stream import Stream
from tailrace.web.exchange import Exchange
from tailrace.web.services import Services
from tailrace.wire.durable import format_expires_at

Fields = list[tuple[bytes, bytes]]

# Whoever may read a stream may show it where they like (the protocol, 12.7).
SECURITY: Headers = ((b"cross-origin-resource-policy", b"cross-origin"),)
NO_STORE: Final = (b"cache-control", b"no-store")
_PRIVATE: Final = (b"cache-control", b"private, no-store")
# The protocol's own values (10.1): what was appended never changes.
_CACHED: Final = b"%b, max-age=60, stale-while-revalidate=300"


def content_fields(stream: Stream) -> Fields:
    """The stream's own type; ``isolation.py`` adds what keeps it from doing harm."""
    return [(b"content-type", stream.content_type.encode("latin-1")), *SECURITY]


def next_offset(stream: Stream, seq: int) -> tuple[bytes, bytes]:
    return (b"stream-next-offset", str(stream.offset(seq)).encode())


def tail_fields(stream: Stream) -> Fields:
    """Where the stream ends at this moment, and whether for good."""
    return [next_offset(stream, stream.visible), *closed_fields(stream)]


def closed_fields(stream: Stream) -> Fields:
    if stream.ending is None:
        return []
    return [(b"stream-closed", b"true"), (b"stream-ending", stream.ending.kind.value.encode())]


def expiry_fields(stream: Stream) -> Fields:
    info = stream.info
    if info.ttl is not None:
        return [(b"stream-ttl", b"%d" % info.ttl)]
    if info.expires_at is not None:
        return [(b"stream-expires-at", format_expires_at(info.expires_at))]
    return []


def caching(
    exchange: Exchange, services: Services, stream: Stream, *, of_now: bool = False
) -> tuple[bytes, bytes]:
    """Say how long an answer may be kept; ``of_now``: it holds at this moment only."""
    if services.namespaces.of(stream.name).private:
        return _PRIVATE
    if of_now:
        return NO_STORE
    whose = b"public" if exchange.policy.shared_caches else b"private"
    return (b"cache-control", _CACHED % whose)
