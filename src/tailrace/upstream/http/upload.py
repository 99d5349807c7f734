"""A request's body that is sent on as it is read: its framing, sans-I/O, and the pump."""

from __future__ import annotations

from tailrace.contracts import Upload
from tailrace.errors import BadRequest
from tailrace.patience import timeout
from tailrace.upstream.http.clocks import ran_out
from tailrace.upstream.http.connection import UpstreamConnection


class UploadFraming:
    """Frames a body as its head announced it: by a length, or in chunks (RFC 9112 §7.1).

    A body that is longer or shorter than its announced length would have the upstream take a
    part of it for the next request, or the next request for a part of it: BadRequest is raised.
    """

    def __init__(self, length: int | None) -> None:
        self._left = length

    def frame(self, piece: bytes) -> bytes:
        """The next piece, which is not empty: an empty chunk would be the last."""
        if self._left is None:
            return b"%x\r\n%b\r\n" % (len(piece), piece)
        self._left -= len(piece)
        if self._left < 0:
            raise _mismatch()
        return piece

    def end(self) -> bytes:
        """What ends the body."""
        if self._left is None:
            return b"0\r\n\r\n"
        if self._left:
            raise _mismatch()
        return b""


async def send_upload(
    connection: UpstreamConnection, upload: Upload, patience: float, peer: str
) -> None:
    """Send ``upload``, read as fast as the upstream takes it, behind the head that was sent.

    Raises what ``upload.read`` does, BadRequest where it is not as long as announced, and
    UpstreamTimeout where the upstream did not take one piece in ``patience`` seconds, which is
    the clock for silence.
    """
    framing = UploadFraming(upload.length)
    while piece := await upload.read():
        connection.write(framing.frame(piece))
        try:
            async with timeout(patience):
                await connection.drain()
        except TimeoutError:
            raise ran_out("silence", patience, peer) from None
    if last := framing.end():
        connection.write(last)


def _mismatch() -> BadRequest:
    return BadRequest("The body is not as long as its Content-Length says.")
