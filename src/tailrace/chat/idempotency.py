"""``Idempotency-Key``: a request sent again gets the answer that it got before.

    the key           the body    outcome
    ----------------  ----------  --------------------------------------------------------------
    new               any         asked; the key is durable before the upstream hears of it
    known             the same    that answer, running or ended, from its start; nothing is asked
    known             another     422

A key belongs to whom it came from: the same key under other credentials, or at another API, is
another key. It lives as long as its answer is kept; a request that was refused before its answer
began leaves none behind, so that it may be sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from tailrace.chat.answers import content_location, keep, note_of
from tailrace.chat.owners import owned_name
from tailrace.chat.relay.relay import Relay
from tailrace.errors import BadRequest, IdempotencyMismatch, NotFound
from tailrace.log.catalogue import Catalogue
from tailrace.log.stream import Stream
from tailrace.web.exchange import Exchange
from tailrace.wire.slices import Work

# As long as any UUID or hash, and what other APIs allow.
_LONGEST: Final = 255
# Bytes of a body that are hashed at once: a tenth of a millisecond.
_HASHED: Final = 64 * 1024


class Key(NamedTuple):
    """One request, as it is known again."""

    name: str
    """The further name of its answer's stream."""
    request: str
    """What is to be equal."""


class KeyedAnswer(NamedTuple):
    """The answer to a request."""

    stream: Stream
    relay: Relay | None
    """None: it has ended."""
    replayed: bool

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """What its response says of it: where it can be had again, and that it was given before."""
        said = [content_location(self.stream)]
        return [*said, (b"idempotency-replayed", b"true")] if self.replayed else said


def read_key(exchange: Exchange, body: bytes) -> Work[Key | None]:
    """None where the request carries no key. Raises BadRequest."""
    values = [value for name, value in exchange.headers if name == b"idempotency-key"]
    if not values:
        return None
    if len(values) > 1 or not 0 < len(values[0].strip()) <= _LONGEST:
        raise BadRequest(f"Send one Idempotency-Key, of at most {_LONGEST} characters.")
    path = exchange.path.encode("latin-1")
    name = owned_name("key", exchange.principal.owner, path, values[0].strip())
    request = hashlib.sha256()
    for start in range(0, len(body), _HASHED):
        request.update(body[start : start + _HASHED])
        yield
    return Key(name, request.hexdigest())


class Keys:
    """The keys of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        # Of one key, one request at a time looks and makes, lest two be asked.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def find(
        self, key: Key, make: Callable[[], Relay], ask: Callable[[Relay], None]
    ) -> KeyedAnswer:
        """The answer to that request: the one there is, or one made and asked for now.

        Raises IdempotencyMismatch or StoreError.
        """
        lock = self._turns.setdefault(key.name, asyncio.Lock())
        async with lock:
            stream = await self._known(key)
            if stream is not None:
                source = stream.source
                return KeyedAnswer(
                    stream, source if isinstance(source, Relay) else None, replayed=True
                )
            relay = make()
            relay.made_known()
            await self._keep(key, relay)
            ask(relay)
            return KeyedAnswer(relay.stream, relay, replayed=False)

    async def _known(self, key: Key) -> Stream | None:
        try:
            stream = await self._catalogue.known_as(key.name)
        except NotFound:
            return None
        if note_of(stream).get("request") != key.request:
            raise IdempotencyMismatch(
                "This Idempotency-Key came with another body before; take a new key for it."
            )
        return stream

    async def _keep(self, key: Key, relay: Relay) -> None:
        stream = relay.stream
        stream.note(json.dumps({"request": key.request}).encode())
        self._catalogue.alias(stream, key.name)
        await keep(stream, relay)
