"""The relay: an upstream's streamed chat answer becomes a stream of its chunks.

It reads by plain calls from the upstream's connection, appends what each read brought as one
batch, and is the only one who writes the stream's ending:

    what the upstream does                     ending
    -----------------------------------------  ---------------------------------------------
    sends ``[DONE]``                           completed
    ends the body without it                   cut
    breaks the connection                      cut
    is silent for too long                     stalled
    takes longer than an exchange may          stalled
    sends an error object                      failed(its message)
    sends a chunk that is no JSON object       an ``error`` event; failed at the end, whatever it is
    sends an event over the limit              failed
    refuses, or does not speak HTTP            failed(why), where the stream was made before asking
    and we: somebody stops it                  cancelled
    nobody watched for ``keep`` seconds        cancelled
    the store cannot keep up, then fails       failed(storage)
    the server shuts down                      interrupted
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from tailrace.contracts import BodyEnd, Call
from tailrace.errors import (
    StoreError,
    TailraceError,
    UpstreamBroken,
    UpstreamRefused,
)
from tailrace.log.attendance import unwatched_at
from tailrace.log.cursor import blocked_since
from tailrace.log.stream import Stream
from tailrace.model import DATA, ERROR, EndingKind
from tailrace.wire.chat import ChatParser, Record, RecordKind, error_message

logger = logging.getLogger(__name__)

# How long the upstream may take to end its response after [DONE], for the connection to be used
# again: one round trip and a little. Later than that, a new connection is cheaper than waiting.
_DRAIN: Final = 2.0
# An upstream's refusal is a short JSON object; more of it helps nobody.
REFUSAL_LIMIT: Final = 64 * 1024

STORAGE: Final = "storage"
"""The reason in ``failed`` when our own storage is at fault."""


@dataclass(frozen=True)
class RelayLimits:
    """How long and how much."""

    max_event: int
    """Bytes in one event of the upstream."""
    keep: float
    """Seconds that an answer goes on while nobody watches."""
    stall: float
    """Seconds without progress after which a viewer does not count as watching."""


class Relay:
    """A source: one upstream answer."""

    kind: ClassVar[str] = "relay"

    def __init__(
        self, stream: Stream, limits: RelayLimits, redact: Callable[[bytes], bytes]
    ) -> None:
        self._stream = stream
        self._limits = limits
        self._redact = redact
        self._loop = asyncio.get_running_loop()
        self._parser = ChatParser(limits.max_event)
        self._call: Call | None = None
        self._asking: asyncio.Task[None] | None = None
        self._pausing: asyncio.Task[None] | None = None
        self._malformed = 0
        stream.source = self
        self._timer = self._loop.call_later(limits.keep, self._check_attendance)

    # --- beginning ------------------------------------------------------------------------

    def start(self, call: Call) -> None:
        """Relay an answer whose head has come and was found to be a stream."""
        self._call = call
        call.stream(self)

    def ask(self, asking: Callable[[], Awaitable[Call]]) -> None:
        """Await ``asking()``, then relay; what goes wrong on the way is said in the stream."""
        self._asking = self._loop.create_task(self._ask(asking))

    async def _ask(self, asking: Callable[[], Awaitable[Call]]) -> None:
        try:
            call = await asking()
            try:
                await refuse_unless_stream(call, self._redact)
            except BaseException:
                call.cancel()
                raise
        except TailraceError as error:
            self._asking = None
            self._fail(error)
            return
        self._asking = None
        self.start(call)

    def _fail(self, error: TailraceError) -> None:
        self._stream.feed([(ERROR, _error_event(error.code, str(error)))])
        self._end(EndingKind.FAILED, str(error))

    # --- what the upstream sends ----------------------------------------------------------

    def data(self, chunk: bytes) -> None:
        """The next bytes of the upstream's body."""
        stream = self._stream
        if stream.source is not self:
            return
        only = self._parser.take_chunk(chunk)
        if only is None:
            self._take(self._parser.feed(chunk))
            return
        stream.feed([(DATA, only)])
        if self._pausing is None and stream.congested:
            self._pausing = self._loop.create_task(self._pause())

    def end(self, how: BodyEnd) -> None:
        """The upstream's body has ended."""
        if self._stream.source is not self:
            self._timer.cancel()
            return
        self._take(self._parser.finish(how is BodyEnd.COMPLETE))
        # What was taken may have ended it. Asked in a call of its own: mypyc takes what was read
        # above for what is there now.
        self.stop(*_ENDINGS[how])

    def _take(self, records: list[Record]) -> None:
        batch: list[tuple[str, bytes]] = []
        last: tuple[EndingKind, str] | None = None
        for record in records:
            last = self._sort(record, batch)
            if last is not None:
                break
        if batch:
            self._stream.feed(batch)
        if last is not None:
            self._end(*last)
        elif batch and self._pausing is None and self._stream.congested:
            self._pausing = self._loop.create_task(self._pause())

    def _sort(
        self, record: Record, batch: list[tuple[str, bytes]]
    ) -> tuple[EndingKind, str] | None:
        """Put one record where it belongs; return the ending that it brings, if any."""
        match record.kind:
            case RecordKind.CHUNK:
                batch.append((DATA, record.data))
            case RecordKind.DONE:
                return EndingKind.COMPLETED, ""
            case RecordKind.ERROR:
                data = self._redact(record.data)
                batch.append((DATA, data))
                return EndingKind.FAILED, f"The upstream reported: {error_message(data)}"
            case RecordKind.MALFORMED:
                self._malformed += 1
                batch.append((ERROR, _malformed_event(self._redact(record.data))))
            case RecordKind.TOO_LARGE:
                return EndingKind.FAILED, (
                    f"The upstream sent an event of more than {self._limits.max_event} bytes."
                )
        return None

    async def _pause(self) -> None:
        """The store has as much to write as it may: read no more until it has caught up."""
        assert self._call is not None  # noqa: S101 - only records of a call bring us here
        self._call.pause()
        try:
            await self._stream.committed()
        except StoreError:
            self.stop(EndingKind.FAILED, STORAGE)
            return
        finally:
            self._pausing = None
        self._call.resume()

    # --- ending ---------------------------------------------------------------------------

    def stop(self, kind: EndingKind, reason: str) -> None:
        """End the stream now and close the upstream's connection, whatever it was doing."""
        if self._stream.source is self:
            self._end(kind, reason)

    def _check_attendance(self) -> None:
        if self._stream.source is not self:
            return
        now = self._loop.time()
        limits = self._limits
        at = unwatched_at(
            blocked_since(self._stream.cursors),
            self._stream.left_at,
            keep=limits.keep,
            stall=limits.stall,
        )
        if at <= now:
            self._end(EndingKind.CANCELLED, f"Nobody watched for {limits.keep:g} seconds.")
            return
        wait = limits.keep if math.isinf(at) else at - now
        self._timer = self._loop.call_later(wait, self._check_attendance)

    def _end(self, kind: EndingKind, reason: str) -> None:
        if self._malformed and kind is EndingKind.COMPLETED:
            kind = EndingKind.FAILED
            reason = f"The upstream sent malformed chunks: {self._malformed}."
        self._timer.cancel()
        self._stream.end(kind, reason)
        if self._asking is not None:
            self._asking.cancel()
        if self._call is None:
            return
        if kind is EndingKind.COMPLETED:
            self._timer = self._loop.call_later(_DRAIN, self._call.cancel)
        else:
            self._call.cancel()


_ENDINGS: Final = {
    BodyEnd.COMPLETE: (EndingKind.CUT, "The upstream's answer ended without [DONE]."),
    BodyEnd.CUT: (EndingKind.CUT, "The upstream's connection broke."),
    BodyEnd.SILENT: (EndingKind.STALLED, "The upstream sent nothing for too long."),
    BodyEnd.OVERTIME: (EndingKind.STALLED, "The upstream took longer than an answer may."),
}


async def refuse_unless_stream(call: Call, redact: Callable[[bytes], bytes]) -> None:
    """Return if ``call`` answers with an event stream that can be relayed.

    Raises UpstreamRefused (any status but 200) or UpstreamBroken (not an event stream, or
    compressed although we asked for none), having read what the upstream says of it.
    """
    if call.status != 200:
        try:
            body = redact(await call.read(REFUSAL_LIMIT))
        except TailraceError:
            body = b""
        said = error_message(body) if body else "nothing"
        raise UpstreamRefused(f"The upstream answered {call.status}: {said}")
    fields = dict(call.headers)
    media_type = redact(fields.get(b"content-type", b"")).split(b";")[0].strip().lower()
    if media_type != b"text/event-stream":
        raise UpstreamBroken(
            "The upstream answered with "
            f"{media_type.decode('latin-1')[:80] or 'no content type'} instead of an event "
            "stream; check that its URL is the API's base URL."
        )
    _refuse_compressed(call, redact)


def _refuse_compressed(call: Call, redact: Callable[[bytes], bytes]) -> None:
    """Raises UpstreamBroken where the upstream compressed a body that was asked for as it is."""
    encoding = redact(dict(call.headers).get(b"content-encoding", b"identity")).strip().lower()
    if encoding not in (b"", b"identity"):
        raise UpstreamBroken(
            f"The upstream compressed its stream ({encoding.decode('latin-1')[:40]}), "
            "although it was asked not to."
        )


def _error_event(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def _malformed_event(raw: bytes) -> bytes:
    # Enough to see what came; the rest would be kept for nobody.
    excerpt = raw[:200].decode("utf-8", "replace")
    message = "The upstream sent a chunk that is not a JSON object."
    error = {"code": "malformed_chunk", "message": message, "excerpt": excerpt}
    return json.dumps({"error": error}).encode()
