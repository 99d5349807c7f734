"""The seam to model APIs: one upstream, an exchange with it, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tailrace.contracts.streams import Headers
from tailrace.wire.redaction import Redactor


class BodyEnd(StrEnum):
    """How the body of an upstream's response ended."""

    COMPLETE = "complete"
    CUT = "cut"
    """The connection broke, or its framing did."""
    SILENT = "silent"
    """No byte for longer than the clock for silence allows."""
    OVERTIME = "overtime"
    """The clock for the whole exchange ran out."""


class Upload(Protocol):
    """A request's body that is read as it is sent on, and never held whole."""

    @property
    def length(self) -> int | None:
        """Bytes in all, where that was announced."""
        ...

    async def read(self) -> bytes:
        """The next piece; empty at the end. Raises what ends the request, if its sender left."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What to ask. ``path`` is relative to the upstream's base URL and begins with ``/``.

    ``headers`` are end-to-end fields only; Host, Content-Length, Connection, Accept-Encoding
    and the upstream's own Authorization are the client's affair.
    """

    method: str
    path: str
    headers: Headers
    body: bytes | Upload = b""
    """An upload is sent once: what has begun to leave is not asked again elsewhere."""
    model: str = ""
    """By which one of several upstreams is chosen; empty: whichever answers for all."""
    model_at: Sequence[tuple[int, int]] = ()
    """From where to where ``model`` stands in the body, as JSON; empty: that is not known."""
    reserved: object = None
    """The room that is counted for the body: hold it as long as the body."""


class Receiver(Protocol):
    """Takes a response's body, by plain calls from the connection's ``data_received``."""

    def data(self, chunk: bytes) -> None:
        """The next bytes of the body. Must not raise."""
        ...

    def end(self, how: BodyEnd) -> None:
        """No more will come. Called exactly once, unless the call was cancelled."""
        ...


class Call(Protocol):
    """An exchange of which the response's head has come."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers:
        """The response's fields, as they came."""
        ...

    def stream(self, receiver: Receiver) -> None:
        """Begin handing over the body. Until then the connection is not read."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body instead, or its first ``limit`` bytes.

        Raises UpstreamBroken where it is cut, UpstreamTimeout where a clock ran out.
        """
        ...

    def pause(self) -> None:
        """Stop reading from the connection. Silence is not counted meanwhile."""
        ...

    def resume(self) -> None: ...

    def cancel(self) -> None:
        """Close the connection at once, unless the response was already read whole.

        The receiver hears nothing more. May be called any number of times.
        """
        ...


class Upstream(Protocol):
    """One model API: a base URL, perhaps a key, connections.

    Where there is a key of ours, what the client shows of its own is dropped; where there is none,
    it is passed on.
    """

    @property
    def base_url(self) -> str:
        """For people to read; holds no credentials."""
        ...

    @property
    def redact(self) -> Redactor:
        """Takes the key out of what the upstream says, should it echo it."""
        ...

    async def ask(self, request: UpstreamRequest) -> Call:
        """Send, and wait for the response's head, whatever its status.

        Cancelling this coroutine closes the connection at once. Raises UpstreamUnreachable,
        UpstreamTimeout or UpstreamBroken, and BadRequest for a path or a header that would
        become something else on the wire.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Attempts(Protocol):
    """One request, asked of one upstream after the other until an answer's first token.

    What may be tried again is tried again inside: refused connections, broken heads, 408, 429 and
    5xx, with a back-off or as long as ``Retry-After`` says, within a budget of time; one upstream
    that answers is asked twice at most, and only another one after a clock ran out. What may not,
    or is the last answer there is, is given as it is: so is what blames the request. Whoever was
    given a call ends it: it holds one of the upstream's places until then.
    """

    @property
    def upstream(self) -> str:
        """The name of the upstream asked last; empty before the first."""
        ...

    @property
    def count(self) -> int:
        """Requests sent until now."""
        ...

    async def next(self, failure: str = "") -> Call:
        """An answer whose head has come, of any status; the next one, where the one before ended
        without a token. ``failure`` says why it did.

        The one before is cancelled here, where its body was not read to its end. Cancelling this
        closes the connection at once.

        Raises what ``Upstream.ask`` does where there was one try; UpstreamsDown where several
        failed without an answer, or none may be asked now; UpstreamsBusy or UpstreamQueueTimeout
        where there is no room; where there is nothing left to try after a ``failure``,
        UpstreamBroken with that failure.
        """
        ...

    def rewrite(self, body: bytes, model_at: Sequence[tuple[int, int]] = ()) -> None:
        """Ask for this from the next try on; ``model_at`` is as in ``UpstreamRequest``."""
        ...


class Upstreams(Protocol):
    """All upstreams: who answers for which model, how each fares, and how much it may have."""

    def attempts(self, request: UpstreamRequest) -> Attempts:
        """Begin to ask; nothing is sent until ``next``. Raises NoSuchModel where no upstream
        answers for the request's model."""
        ...

    def disconnect(self, model: str) -> str:
        """What the configuration says of leaving where that model answers; empty: nothing."""
        ...

    @property
    def redact(self) -> Redactor:
        """Takes any key of ours out of what an upstream says."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
