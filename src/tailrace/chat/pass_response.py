"""An upstream's response handed through as it comes, with backpressure, and not kept."""

from __future__ import annotations

import asyncio

from tailrace.contracts import BodyEnd, Call
from tailrace.web.exchange import Exchange
from tailrace.web.forwarded_headers import to_client, without_keys
from tailrace.web.stream_response import STREAMING
from tailrace.wire.media_type import essence_of
from tailrace.wire.redaction import Redactor, Screen

# Read ahead of a slow client by this much, then let the upstream wait.
_AHEAD = 64 * 1024
# Searched for our key at a time: half a millisecond at worst.
_SLICE = 64 * 1024
# A refusal's body is searched for our key, so it is read whole; beyond this it is cut off there.
_REFUSAL_LIMIT = 1024 * 1024


class _Pipe:
    """A receiver whose bytes are awaited. Holds at most _AHEAD and one read of the connection."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._chunks: list[bytes] = []
        self._size = 0
        self._how: BodyEnd | None = None
        self._news = asyncio.Event()

    def data(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > _AHEAD:
            self._call.pause()
        self._news.set()

    def end(self, how: BodyEnd) -> None:
        self._how = how
        self._news.set()

    async def read(self) -> bytes | BodyEnd:
        """What has come since the last call, or how it ended."""
        while not self._chunks:
            if self._how is not None:
                return self._how
            self._news.clear()
            await self._news.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        paused, self._size = self._size > _AHEAD, 0
        if paused:
            self._call.resume()
        return data


async def hand_through(exchange: Exchange, call: Call, redact: Redactor) -> None:
    """An upstream's answer as it is. A client that leaves cancels it."""
    hand = pass_refusal if call.status >= 400 else pass_through
    try:
        await exchange.unless_gone(hand(exchange, call, redact))
    except BaseException:
        call.cancel()
        raise


async def pass_refusal(exchange: Exchange, call: Call, redact: Redactor) -> None:
    """An upstream's error, status, headers and body as they are, but for our key in it."""
    body = redact(await call.read(_REFUSAL_LIMIT))
    headers = without_keys(to_client(call.headers, keep_encoding=True), redact)
    await exchange.respond(call.status, headers, body)


async def pass_through(exchange: Exchange, call: Call, redact: Redactor) -> None:
    """Everything else, streaming. A body that the upstream cuts is cut for the client too."""
    headers = to_client(call.headers, keep_length=True, keep_encoding=True)
    if essence_of(dict(headers).get(b"content-type")) == "text/event-stream":
        headers = [*(field for field in headers if field[0] != b"cache-control"), *STREAMING]
    await exchange.start(call.status, without_keys(headers, redact))
    pipe, screen = _Pipe(call), Screen(redact)
    call.stream(pipe)
    while not isinstance(piece := await pipe.read(), BodyEnd):
        for begin in range(0, len(piece), _SLICE):
            if shown := screen.feed(piece[begin : begin + _SLICE]):
                await exchange.write(shown)
    if piece is BodyEnd.COMPLETE:
        await exchange.write(screen.finish(), more=False)
    else:
        exchange.abort()
