"""What those are told who wait for an answer to begin: that it has, or that it will not.

    the upstream                           is told as       to
    -------------------------------------  ---------------  ------------------------------------
    begins an event stream                 begun            all
    answers with something else            a refusal        the first; it is theirs to hand on
    cannot be asked                        an error         all

It is decided once. What is decided while nobody waits, or after a client's response began with a
heartbeat, is nobody's to be told by status: it has to be said in the stream.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tailrace.contracts import Call
from tailrace.errors import TailraceError, UpstreamRefused
from tailrace.patience import wait_for_done


class Beginning:
    """Of one answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._decided: Final[asyncio.Future[None]] = loop.create_future()
        self._refused = False
        self.waiting = 0
        """Clients that wait."""
        self.refusal: Call | None = None
        """What nobody took yet."""
        self.error: TailraceError | None = None

    @property
    def can_refuse(self) -> bool:
        """Whether somebody can still be told by status."""
        return self.waiting > 0 and not self._decided.done()

    @property
    def decided(self) -> bool:
        """Whether it is."""
        return self._decided.done()

    async def outcome(self, patience: float | None) -> Call | None:
        """Wait for it, at most ``patience`` seconds. None: it has begun, or begins with us.

        Otherwise the refusal, once. Raises the error, and UpstreamRefused to who comes after the
        one who took the refusal.
        """
        if patience:
            await wait_for_done(self._decided, patience)
        else:
            await asyncio.wait((self._decided,), timeout=patience)
        if self.error is not None:
            raise self.error
        refusal, self.refusal = self.refusal, None
        if refusal is None and self._refused:
            raise UpstreamRefused("The upstream refused this request; send it again to hear why.")
        return refusal

    def begin(self) -> None:
        """It has begun, or a client's response does."""
        if not self._decided.done():
            self._decided.set_result(None)

    def refuse(self, call: Call) -> None:
        """Only where ``can_refuse``."""
        self.refusal = call
        self._refused = True
        self._decided.set_result(None)

    def fail(self, error: TailraceError) -> None:
        """Only where ``can_refuse``."""
        self.error = error
        self._decided.set_result(None)
