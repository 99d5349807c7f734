"""From a request for a streamed answer to the stream that it becomes. Used by every model API."""

from __future__ import annotations

from tailrace.contracts import Call
from tailrace.log.stream import Stream
from tailrace.server.addresses import stream_url
from tailrace.server.services import CHAT, Services
from tailrace.sources.relay import Relay

# Every chunk is a JSON document: what the durable view promises of such a stream.
CONTENT_TYPE = "application/json"


def make_answer(services: Services) -> tuple[Stream, Relay]:
    """A new stream in ``chat/`` with a relay that has not begun."""
    stream = services.catalogue.create_secret(CHAT, CONTENT_TYPE, Relay.kind)
    relay = Relay(stream, services.relay_limits, services.upstream.redact)
    return stream, relay


def start_answer(services: Services, call: Call) -> Stream:
    """A new stream that ``call``, an event stream whose head has come, fills from now on."""
    stream, relay = make_answer(services)
    relay.start(call)
    return stream


def content_location(stream: Stream) -> tuple[bytes, bytes]:
    """Says where this answer can be had again (RFC 9110, 8.7)."""
    return (b"content-location", stream_url(stream.name).encode("ascii"))
