"""Every other path below ``/v1``: passed on to the upstream and back, and nothing of it kept.

    the request's body                             is
    ---------------------------------------------  ------------------------------------------
    none                                           none
    JSON of an announced length, at most 1 MiB     read whole; its ``model`` chooses the upstream
    any other                                      passed on as it is read

Of a body that is passed on, as of every response, there is never more here than one read of a
connection and what the transports hold: whoever takes less holds up whoever gives.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import unquote

from tailrace.chat.pass_response import hand_through
from tailrace.chat.services import ChatServices
from tailrace.contracts import UpstreamRequest
from tailrace.errors import BadRequest
from tailrace.patience import timeout
from tailrace.web.bodies import BODY_PATIENCE, ClientGone, Receive, peek_model
from tailrace.web.body_budget import Body, body_too_large
from tailrace.web.exchange import Exchange
from tailrace.web.forwarded_headers import to_upstream
from tailrace.web.outcome import Message
from tailrace.wire.media_type import essence_of

PREFIX: Final = "/v1"

# JSON that is read whole: an embedding of a few hundred texts is below.
_SMALL: Final = 1024 * 1024
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SEPARATOR: Final = re.compile(r"[/\\]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# How often a path may be percent-encoded. A file's name with a % in it is encoded twice.
_LAYERS: Final = 3


async def pass_on(exchange: Exchange, services: ChatServices) -> None:
    """GET, POST, PUT, PATCH or DELETE of a path of which only the upstream knows something."""
    path = upstream_path(exchange.path) + exchange.search
    body = await _read_or_stream(exchange, services)
    upload = body if isinstance(body, ClientUpload) else None
    asking = services.upstreams.attempts(await _request(exchange, services, path, body)).next()
    del body  # held by the attempts, until there is an answer
    call = await exchange.unless_gone(asking)
    del asking
    if call.status >= 400 and upload is not None:
        upload.stop()
    await hand_through(exchange, call, services.upstreams.redact)


async def _request(
    exchange: Exchange, services: ChatServices, path: str, body: Body | ClientUpload
) -> UpstreamRequest:
    headers = to_upstream(exchange.headers)
    if isinstance(body, ClientUpload):
        return UpstreamRequest(exchange.method, path, headers, body)
    model = await services.core.turns.run(peek_model(body.data))
    return UpstreamRequest(exchange.method, path, headers, body.data, model, reserved=body.reserved)


async def _read_or_stream(exchange: Exchange, services: ChatServices) -> Body | ClientUpload:
    """The body, or what reads it. ``exchange.receive`` waits for the end of an upload."""
    length = _announced_length(exchange)
    if length == 0:
        return Body(b"", services.core.bodies.reserve(0))
    small = min(_SMALL, services.max_body)
    is_json = essence_of(exchange.header(b"content-type")) == "application/json"
    if length is not None and length <= small and is_json:
        return await services.core.bodies.read(exchange.receive, small, exchange.headers)
    limit = services.max_upload
    if limit and length is not None and length > limit:
        raise body_too_large(limit)
    upload = ClientUpload(exchange.receive, length, limit)
    exchange.receive = upload.receive_afterwards
    return upload


def _announced_length(exchange: Exchange) -> int | None:
    """None: not said. Without a length or a coding there is no body (RFC 9112 §6.3)."""
    length = exchange.header(b"content-length")
    if length is None:
        return 0 if exchange.header(b"transfer-encoding") is None else None
    if len(length) > 19:  # past what fits on any disk, and what int() should be given
        raise BadRequest("The request's Content-Length is no length.")
    return int(length)


class ClientUpload:
    """The body of a client's request, as ``contracts.Upload``.

    While it is read, its own reads notice that the client has left; whoever else wants to know
    waits until it is over. ``limit`` is in bytes; 0: none.
    """

    def __init__(
        self,
        receive: Receive,
        length: int | None,
        limit: int,
        *,
        patience: float = BODY_PATIENCE,
    ) -> None:
        self._receive = receive
        self._length = length
        self._limit = limit
        self._patience = patience
        self._size = 0
        self._over = asyncio.Event()

    @property
    def length(self) -> int | None:
        """As in the contract."""
        return self._length

    async def read(self) -> bytes:
        """As in the contract. Raises BodyTooLarge, ClientGone, or BadRequest where nothing came
        for as long as ``read_body`` has patience.
        """
        while not self._over.is_set():
            message = await self._next()
            body: bytes = message.get("body", b"")
            if not message.get("more_body", False):
                self.stop()
            self._size += len(body)
            if self._limit and self._size > self._limit:
                raise body_too_large(self._limit)
            if body:
                return body
        return b""

    def stop(self) -> None:
        """Nobody reads it any more."""
        self._over.set()

    async def receive_afterwards(self) -> Message:
        """ASGI ``receive`` for everybody else: what comes once the upload is over."""
        await self._over.wait()
        return await self._receive()

    async def _next(self) -> Message:
        try:
            async with timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            raise BadRequest(f"No byte of the body came for {self._patience:g} seconds.") from None
        if message["type"] == "http.disconnect":
            self.stop()
            raise ClientGone
        return message


def upstream_path(path: str) -> str:
    """``path`` below the upstream's base URL, as it was sent.

    Raises BadRequest where some server on the way could read it as a path beside or above the
    base: by dots or empty segments, however often they are encoded and whatever divides them.
    """
    below = path.removeprefix(PREFIX)
    if _BAD_ESCAPE.search(below):
        raise BadRequest("The path has a broken percent-encoding.")
    plain = below
    for _ in range(_LAYERS):
        _refuse_detours(plain)
        decoded = unquote(plain, "latin-1")
        if decoded == plain:
            return below
        plain = decoded
    raise BadRequest("The path is percent-encoded too often.")


def _refuse_detours(path: str) -> None:
    _, *segments = _SEPARATOR.split(path)
    # Some servers put parameters behind a semicolon, and "..;x" is two dots to them.
    names = {segment.partition(";")[0] for segment in segments}
    if names & {".", ".."} or "" in segments[:-1] or _CONTROL.search(path):
        raise BadRequest("The path has empty or dotted segments, or control characters.")
