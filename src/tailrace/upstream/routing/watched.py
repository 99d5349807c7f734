"""A call that tells how it went: to the breaker, and to who waits for its slot.

    what comes                        is, for the breaker
    --------------------------------  ------------------------------------------------------------
    2xx, and a byte of the body       a success, at that byte
    2xx, and the whole of no body     a success
    3xx, 4xx, 501                     a success, at the head: the upstream is well
    5xx, to be tried again            what its asker judges: a failure, unless it blames the
                                      request; nothing where that is never judged
    any other 5xx                     a failure, at the head
    2xx, and a cut or silence         a failure; after a byte, one more outcome of the same call
    no token, as its asker found out  a failure in place of what there was
    cancelled before the first byte   nothing
    the clock for the whole ran out   nothing: it answered all that time

A piece of the body costs no Python frame here: the connection calls what ``data`` holds, and from
the second piece on that is the receiver's own method.
"""

from __future__ import annotations

from collections.abc import Callable

from tailrace.contracts import BodyEnd, Headers, Receiver
from tailrace.errors import UpstreamBroken, UpstreamTimeout
from tailrace.upstream.http.exchange import UpstreamExchange
from tailrace.upstream.routing.backoff import is_retryable
from tailrace.upstream.routing.breaker import Breaker, Ticket


class Watched:
    """``contracts.Call`` around one. ``over`` is called once, when nothing more will come."""

    def __init__(
        self,
        call: UpstreamExchange,
        breaker: Breaker,
        ticket: Ticket,
        *,
        key: int,
        clock: Callable[[], float],
        over: Callable[[], None],
    ) -> None:
        self.key = key
        """The number of the key that it was asked with."""
        self._call = call
        self._breaker = breaker
        self._ticket = ticket
        self._clock = clock
        self._over: Callable[[], None] | None = over
        self._settled = False
        """The breaker knows an outcome."""
        status = call.status
        if status >= 300 and not (status >= 500 and is_retryable(status, call.headers)):
            self._settle(status < 500 or status == 501)

    @property
    def status(self) -> int:
        return self._call.status

    @property
    def headers(self) -> Headers:
        return self._call.headers

    def stream(self, receiver: Receiver) -> None:
        """As in the contract."""
        self._call.stream(_Tap(receiver, self))

    async def read(self, limit: int) -> bytes:
        """As in the contract."""
        try:
            body = await self._call.read(limit)
        except (UpstreamBroken, UpstreamTimeout):
            self._settle(ok=False)
            raise
        else:
            self._settle(ok=True)
            return body
        finally:
            self._end()

    def pause(self) -> None:
        """As in the contract."""
        self._call.pause()

    def resume(self) -> None:
        """As in the contract."""
        self._call.resume()

    def cancel(self) -> None:
        """As in the contract."""
        self._call.cancel()
        self._end()

    async def peek(self, limit: int, patience: float) -> bytes:
        """As ``Exchange.peek``."""
        return await self._call.peek(limit, patience)

    def judge(self, *, ok: bool) -> None:
        """A refusal was looked at: whether the upstream is well all the same."""
        self._settle(ok)

    def free_slot(self) -> None:
        """It may be a while until somebody wants the rest of its body, if anybody does."""
        self._end()

    def blame(self) -> None:
        """It brought no token: that is a failure, whatever came. Cancels it."""
        self._settled = True
        self._breaker.record(self._ticket, False, self._clock())
        self.cancel()

    # --- called by the tap --------------------------------------------------------------------

    def began(self) -> None:
        """The first byte of the body has come."""
        self._settle(ok=True)

    def ended(self, how: BodyEnd) -> None:
        """The body has ended."""
        if how is BodyEnd.COMPLETE:
            self._settle(ok=True)
        elif how is not BodyEnd.OVERTIME:
            self._broke_off()
        self._end()

    # --- inside -------------------------------------------------------------------------------

    def _settle(self, ok: bool) -> None:
        if not self._settled:
            self._settled = True
            self._breaker.record(self._ticket, ok, self._clock())

    def _broke_off(self) -> None:
        if self._call.status >= 300:
            return  # what its head said stands
        ticket = self._ticket.again() if self._settled else self._ticket
        self._settled = True
        self._breaker.record(ticket, False, self._clock())

    def _end(self) -> None:
        over, self._over = self._over, None
        if over is None:
            return
        if not self._settled:
            self._breaker.forget(self._ticket, self._clock())
        over()


class _Tap:
    """What the connection gives the body to."""

    def __init__(self, receiver: Receiver, watched: Watched) -> None:
        self._receiver = receiver
        self._watched = watched
        self.data: Callable[[bytes], None] = self._first

    def _first(self, chunk: bytes) -> None:
        self.data = self._receiver.data
        self._watched.began()
        self._receiver.data(chunk)

    def end(self, how: BodyEnd) -> None:
        """The slot is free before the receiver hears of the end, who may ask for the next one."""
        self._watched.ended(how)
        self._receiver.end(how)
