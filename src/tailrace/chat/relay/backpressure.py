"""An upstream is not read while the store has as much to write as it may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tailrace.contracts import Call
from tailrace.errors import StoreError
from tailrace.log.stream import STORAGE, Stream
from tailrace.model import EndingKind

# Bytes of a read after which others have their turn. The loop reads one socket up to 32 times
# before it looks at the next, and a read may have 256 KiB; one of tokens has a few KiB at most.
LARGE_READ: Final = 64 * 1024


class Backpressure:
    """Pauses the calls that one stream is fed from, one at a time."""

    def __init__(self, stream: Stream) -> None:
        self._stream: Final = stream
        self._pausing: asyncio.Task[None] | None = None

    @property
    def paused(self) -> bool:
        """Whether a call waits for the store."""
        return self._pausing is not None

    def pause(self, call: Call, stop: Callable[[EndingKind, str], None]) -> None:
        """Read no more of ``call`` until the store has caught up; ``stop`` if it fails.

        ``stop`` is the source's own. It is held only until then, so that no circle keeps the
        source in memory.
        """
        if self._pausing is None:
            self._pausing = asyncio.get_running_loop().create_task(self._pause(call, stop))

    def give_way(self, call: Call, is_read: Callable[[Call], bool]) -> None:
        """Read no more of ``call`` until others have had a turn of the loop.

        ``is_read``: whether that call is still the one that the stream is fed from.
        """
        call.pause()
        asyncio.get_running_loop().call_soon(self._read_on, call, is_read)

    def _read_on(self, call: Call, is_read: Callable[[Call], bool]) -> None:
        if is_read(call) and self._pausing is None:
            call.resume()

    async def _pause(self, call: Call, stop: Callable[[EndingKind, str], None]) -> None:
        call.pause()
        try:
            await self._stream.committed()
        except StoreError:
            stop(EndingKind.FAILED, STORAGE)
            return
        finally:
            self._pausing = None
        call.resume()
