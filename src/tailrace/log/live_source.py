"""A source that is code in this process: what it writes is shown at once.

    async with LiveSource(stream, touch) as source:
        source.feed([(DATA, b"...")])

    how the block is left                                ending
    ---------------------------------------------------  -------------------------------------
    at its end                                           completed
    by an exception                                      failed
    by the task's cancellation                           cancelled
    stopped: DELETE, Stream-Closed, ``handle.close()``   as that says; the block is cancelled,
                                                         and the code behind it runs on
    the application shuts down                           interrupted; the same
    by KeyboardInterrupt or SystemExit                   interrupted

An exception's text may hold anything and every reader would see it, so the ending names only its
type. ``end(EndingKind.FAILED, reason)`` says more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from tailrace.errors import StoreError, StoreOverloaded, StreamIsClosed
from tailrace.log.making import Records
from tailrace.log.stream import Stream
from tailrace.model import EndingKind

# Bytes that may be written while the store is congested, until somebody has to wait: an answer of
# any model fits, and a program in a loop is stopped soon.
_AHEAD: Final = 1 << 20


class LiveSource:
    """The writing end of one stream, an async context manager; used once, in one task."""

    kind: Final = "live"

    def __init__(self, stream: Stream, touch: Callable[[Stream], None]) -> None:
        """``stream``: made for this source. ``touch``: renews the time to live of a stream."""
        self._stream = stream
        self._touch = touch
        self._has_ttl = stream.info.ttl is not None
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._stopped = False
        self._ahead = 0
        stream.source = self

    async def __aenter__(self) -> Self:
        """Begin to fill the stream, in this task."""
        self._task = asyncio.current_task()
        assert self._task is not None  # noqa: S101 - a coroutine runs in a task
        self._cancelling = self._task.cancelling()
        if self._stopped:
            self._task.cancel()
        return self

    # --- writing --------------------------------------------------------------------------

    def feed(self, records: Records) -> None:
        """Add events: shown at once, durable within one group commit.

        Raises StreamIsClosed after a stop or an end, and StoreOverloaded where the store is a MiB
        behind and nobody called ``drain()``.
        """
        if self._stream.congested:
            self._ahead += sum(len(data) for _, data in records)
            if self._ahead > _AHEAD:
                raise StoreOverloaded("The store cannot keep up; await drain() between writes.")
        else:
            self._ahead = 0
        self._stream.feed(records)
        if self._has_ttl:
            self._touch(self._stream)

    async def drain(self) -> None:
        """Wait while the store has as much to write as it may. Raises StoreError if it fails."""
        if self._stream.congested:
            await self._stream.committed()

    def end(self, kind: EndingKind, reason: str = "") -> None:
        """End the stream now; ``reason`` is one sentence that every reader may see."""
        if self._stream.source is self:
            self._stream.end(kind, reason)

    # --- being stopped ----------------------------------------------------------------------

    def stop(self, kind: EndingKind, reason: str) -> None:
        """End the stream now and cancel the code that fills it."""
        if self._stream.source is not self:
            return
        self._stream.end(kind, reason)
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    def opened(self) -> None:
        """Whoever comes, the code goes on."""

    def unwatched(self) -> None:
        """Whoever leaves, the code goes on."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """End the stream as the table says. Raises StoreError where that cannot be kept."""
        if self._stream.source is self:
            self._stream.end(*_ending(error))
        swallow = await self._absorb(kind) if self._stopped else False
        try:
            await self._stream.committed()
        except StoreError:
            if error is None:
                raise
        return swallow

    async def _absorb(self, kind: type[BaseException] | None) -> bool:
        """Take back our own cancellation of the task, as asyncio.timeout() does.

        True: what left the block was its consequence. Somebody else's goes on.
        """
        assert self._task is not None  # noqa: S101 - set before the block began
        delivered = kind is not None and issubclass(kind, asyncio.CancelledError)
        if not delivered:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        if self._task.uncancel() > self._cancelling:
            if not delivered:
                raise asyncio.CancelledError
            return False
        return delivered or kind is StreamIsClosed


def _ending(error: BaseException | None) -> tuple[EndingKind, str]:
    if error is None:
        return EndingKind.COMPLETED, ""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return EndingKind.CANCELLED, "What was filling it was cancelled."
    if isinstance(error, Exception):
        return EndingKind.FAILED, f"What was filling it failed: {type(error).__name__}."
    return EndingKind.INTERRUPTED, "The application was ended."
