"""The bodies of all requests that are held at a time, and how much memory they may take together.

    a body is counted       from                               until
    ----------------------  ---------------------------------  ----------------------------------
    of an announced length  before its first byte is read      nothing needs its bytes any more:
    in chunks               each, as it comes                  its ``Reservation`` is let go

Whoever holds a body, or anything as large that was made of it, holds its reservation, too. So does
a request that may have to be sent again (``UpstreamRequest.reserved``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tailrace.contracts import Headers
from tailrace.errors import BadRequest, BodiesFull, BodyTooLarge
from tailrace.patience import timeout
from tailrace.web.bodies import BODY_PATIENCE, ClientGone, Receive

# Bytes of a body that may use what is left to it alone, an eighth of all: a question to a model
# is shorter, so a few large uploads, finished or not, do not keep everybody from asking.
_SMALL: Final = 64 * 1024
_LEFT: Final = 8


class Body(NamedTuple):
    """A request's body, read whole."""

    data: bytes
    reserved: Reservation
    """To be held as long as the bytes are."""


class Bodies:
    """All of them; ``most`` bytes together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0
        """Bytes reserved now."""

    def reserve(self, size: int) -> Reservation:
        """Room for ``size`` bytes. Raises BodiesFull."""
        reservation = Reservation(self)
        reservation.grow(size)
        return reservation

    def has_room(self, size: int, held: int) -> bool:
        """Whether a body of ``held`` bytes may have ``size`` more. One alone always may."""
        small = held + size <= _SMALL
        most = self._most if small else self._most - self._most // _LEFT
        return self.held + size <= most or self.held == held

    async def read(
        self,
        receive: Receive,
        limit: int,
        headers: Headers = (),
        *,
        patience: float = BODY_PATIENCE,
    ) -> Body:
        """The whole body, of at most ``limit`` bytes.

        ``headers`` are the request's: where they announce too much, nothing is read, and a client
        that waits for ``100 Continue`` sends nothing. Raises BodyTooLarge, BodiesFull, ClientGone,
        or BadRequest where nothing came for ``patience`` seconds.
        """
        limit = min(limit, self._most)
        announced = _announced(headers, limit)
        reserved = self.reserve(announced)
        body = bytearray()
        more = True
        while more:
            try:
                async with timeout(patience):
                    message = await receive()
            except TimeoutError:
                raise BadRequest(f"No byte of the body came for {patience:g} seconds.") from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                raise body_too_large(limit)
            if len(body) > reserved.size:
                reserved.grow(len(body) - reserved.size)
        return Body(bytes(body), reserved)


class Reservation:
    """Room that one body takes; given back when nobody holds this any more."""

    __slots__ = ("_bodies", "size")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.size = 0
        """Bytes."""

    def grow(self, size: int) -> None:
        """Take ``size`` bytes more. Raises BodiesFull."""
        if not self._bodies.has_room(size, self.size):
            raise BodiesFull(
                "The server holds as many bytes of requests as it may; try again in a moment."
            )
        self._bodies.held += size
        self.size += size

    def __del__(self) -> None:
        self._bodies.held -= self.size


def _announced(headers: Headers, limit: int) -> int:
    """Bytes that the body is said to have; 0 where that is not said. Raises BodyTooLarge."""
    length = 0
    for name, value in headers:
        if name != b"content-length":
            continue
        # Longer than 19 digits is past any limit, and past what int() should be given.
        if len(value) > 19 or int(value) > limit:
            raise body_too_large(limit)
        length = int(value)
    return length


def body_too_large(limit: int) -> BodyTooLarge:
    """Return the refusal of a body of more than ``limit`` bytes."""
    return BodyTooLarge(f"The request body is over the limit of {limit} bytes.")
