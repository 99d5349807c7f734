"""One request and its response: ``contracts.Call`` over a connection.

Bytes go from ``received`` through the parser to the receiver by plain calls. What the parser
gave and the receiver did not take yet is *held*: the body's bytes that came with the head, and
those that were already read when the receiver paused (one read of the loop at most, 256 KiB).
The outcome is held behind them in the same way, so that a receiver, paused or not, sees every
byte and then the end, once.

    who closes or returns the connection      when
    _finish                                   whole, cut, a clock, cancel: always here

The connection is let go as soon as the outcome is known, before the receiver hears of it: a
receiver that cancels when it sees the answer's last event therefore leaves the connection to
the next exchange where the body's end came in the same read, and closes it where it did not.

A request's body that is not in memory is sent by a task beside all this. It ends with the outcome,
and already with the head of a response that is an error: whoever refuses a body need not get the
rest of it (RFC 9112 §9.5). A connection on which a body stayed unfinished is not used again (§9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tailrace.contracts import BodyEnd, Headers, Receiver
from tailrace.errors import UpstreamBroken, UpstreamUnreachable
from tailrace.patience import Alarm
from tailrace.upstream.http.clocks import Clocks, ran_out
from tailrace.upstream.http.connection import UpstreamConnection
from tailrace.upstream.http.response import ResponseParser


class UpstreamExchange:
    """Sends one request on an idle connection and takes its response.

    ``ends_at`` is when the total clock runs out (loop time); ``release`` takes the connection
    back when it may carry another exchange.
    """

    def __init__(
        self,
        connection: UpstreamConnection,
        peer: str,
        clocks: Clocks,
        ends_at: float,
        release: Callable[[UpstreamConnection], None],
    ) -> None:
        self._connection = connection
        self._peer = peer
        self._clocks = clocks
        self._release = release
        self._loop = connection.loop
        self._parser = ResponseParser()
        self._head_came: asyncio.Future[None] = self._loop.create_future()
        self._receiver: Receiver | None = None
        self._held = b""
        self._peeked: asyncio.Future[None] | None = None
        self._peek_limit = 0
        self._outcome: BodyEnd | None = None
        self._sending: asyncio.Task[None] | None = None
        self._unsent = False
        """Some of the request's body was not sent, yet or for good."""
        self._paused = True
        self._handing_over = False
        self._over = False
        """The receiver was told the end, or wants to hear nothing more."""
        self._heard_at = 0.0
        self._silence_timer: Alarm | None = None
        self._total_timer = Alarm(self._loop, ends_at, self._overtime)

    async def ask(self, message: Sequence[bytes]) -> None:
        """Send the request, in these pieces, and wait for the response's head; at most once.

        Raises UpstreamUnreachable where the connection ended without one byte of an answer,
        UpstreamBroken where what came is not the head of one.
        """
        self._send(message)
        # What was sent is not held while an upstream thinks. mypyc cannot ``del`` a parameter.
        message = ()
        await self._head_came

    def _send(self, message: Sequence[bytes]) -> None:
        self._connection.carry(self, message[0])
        for piece in message[1:]:
            self._connection.write(piece)

    async def upload(self, head: bytes, sending: Coroutine[Any, Any, None]) -> None:
        """Send the request's head and have ``sending`` send its body, at most once, instead of
        ``ask``. Returns once it did, or does not need to; then ``answered`` is to be awaited.
        """
        self._connection.carry(self, head)
        self._unsent = True
        self._sending = self._loop.create_task(sending)
        self._sending.add_done_callback(self._sent)
        await asyncio.wait((self._sending, self._head_came), return_when=asyncio.FIRST_COMPLETED)

    async def answered(self) -> None:
        """Wait for the response's head. Raises as ``ask``, or what ended the upload."""
        await self._head_came

    # --- Call ---

    @property
    def status(self) -> int:
        return self._parser.head.status if self._parser.head else 0

    @property
    def headers(self) -> Headers:
        return self._parser.head.headers if self._parser.head else ()

    def stream(self, receiver: Receiver) -> None:
        """As in the contract. What is held is handed over before this returns."""
        self._receiver = receiver
        self.resume()

    async def read(self, limit: int) -> bytes:
        """As in the contract."""
        collector = _Collector(limit, self._loop.create_future())
        self.stream(collector)
        try:
            how = await collector.done
        finally:
            self.cancel()
        if how is BodyEnd.CUT:
            raise UpstreamBroken(f"{self._peer} broke off in the middle of its answer.")
        if how is BodyEnd.SILENT:
            raise ran_out("silence", self._clocks.silence, self._peer)
        if how is BodyEnd.OVERTIME:
            raise ran_out("total", self._clocks.total, self._peer)
        return collector.body

    async def peek(self, limit: int, patience: float) -> bytes:
        """The body's first bytes, which stay to be read or streamed; before either.

        Waits until the body is whole, or longer than ``limit`` bytes, or ``patience`` seconds are
        over. Does not raise for a body that is cut.
        """
        if self._outcome is not None or len(self._held) > limit:
            return self._held
        self._peeked = self._loop.create_future()
        self._peek_limit = limit
        timer = self._loop.call_later(patience, self._end_peek)
        self._connection.resume()
        try:
            await self._peeked
        finally:
            timer.cancel()
            self._peeked = None
            self._stop_reading()
        return self._held

    def _stop_reading(self) -> None:
        """In a method of its own: mypyc takes what was None before an ``await`` for None behind."""
        if self._outcome is None:
            self._connection.pause()

    def _end_peek(self) -> None:
        if self._peeked is not None and not self._peeked.done():
            self._peeked.set_result(None)

    def pause(self) -> None:
        """As in the contract. While paused, the receiver does not hear of the end, either."""
        self._paused = True
        if self._outcome is None:
            self._connection.pause()

    def resume(self) -> None:
        """As in the contract. What is held is handed over before this returns."""
        self._paused = False
        self._hand_over()
        if not self._paused and self._outcome is None:
            self._connection.resume()
            self._heard_at = self._loop.time()
            if self._silence_timer is None:
                self._wait_for_silence()

    def cancel(self) -> None:
        self._over = True
        self._held = b""
        self._finish(BodyEnd.CUT)

    # --- Carried: called by the connection ---

    def received(self, data: bytes) -> None:
        parser = self._parser
        body = parser.feed(data)
        receiver = self._receiver
        if (
            body
            and receiver is not None
            and not (parser.complete or parser.failure)
            and not (self._held or self._paused or self._handing_over or self._over)
        ):
            # The way of nearly every piece: nothing is held, nothing ends. As _hand_over does.
            self._heard_at = self._loop.time()
            self._handing_over = True
            try:
                receiver.data(body)
            finally:
                self._handing_over = False
            return
        if body:
            self._held = self._held + body if self._held else body
        if parser.failure:
            self._break_off(UpstreamBroken(f"{self._peer} {parser.failure}."))
        elif parser.complete:
            self._finish(BodyEnd.COMPLETE)
        if self._receiver is not None:
            self._heard_at = self._loop.time()
            self._hand_over()
        elif parser.head is not None and not self._head_came.done():
            if parser.head.status >= 400:
                self._stop_sending()
            self._head_came.set_result(None)
            if self._outcome is None:
                self._connection.pause()
        elif len(self._held) > self._peek_limit:
            self._end_peek()

    def lost(self, clean: bool) -> None:
        if clean and self._parser.ends_with_connection:
            self._finish(BodyEnd.COMPLETE)
        elif self._parser.heard:
            self._break_off(UpstreamBroken(f"{self._peer} broke off in the head of its answer."))
        else:
            self._break_off(
                UpstreamUnreachable(
                    f"{self._peer} closed the connection without an answer.", asked=True
                )
            )
        self._hand_over()

    # --- inside ---

    def _sent(self, sending: asyncio.Task[None]) -> None:
        """The upload is over. What broke it breaks the exchange, wherever that is."""
        if sending.cancelled():
            return
        self._sending = None
        self._heard_at = self._loop.time()
        error = sending.exception()
        if error is None:
            self._unsent = False
            return
        if not self._head_came.done():
            self._head_came.set_exception(error)
        self._stop(BodyEnd.CUT)

    def _stop_sending(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()

    def _break_off(self, error: Exception) -> None:
        """The response ends here: an error where there is no head yet, else a cut body."""
        if self._parser.head is None and not self._head_came.done():
            self._head_came.set_exception(error)
        self._finish(BodyEnd.CUT)

    def _finish(self, outcome: BodyEnd) -> None:
        """The outcome is known: let the connection go, to the pool or for good. Idempotent."""
        if self._outcome is not None:
            return
        self._outcome = outcome
        self._end_peek()
        self._stop_sending()
        self._total_timer.cancel()
        if self._silence_timer is not None:
            self._silence_timer.cancel()
        if outcome is BodyEnd.COMPLETE and self._parser.reusable and not self._unsent:
            self._connection.put_down()
            self._release(self._connection)
        else:
            self._connection.abort()

    def _hand_over(self) -> None:
        """Give what is held, then the outcome, as far as the receiver lets us.

        The receiver may pause, resume or cancel from inside ``data``: the flag keeps a resume
        from handing over the next piece inside the call for this one.
        """
        receiver = self._receiver
        if receiver is None or self._handing_over:
            return
        self._handing_over = True
        try:
            while self._held and not self._paused:
                chunk, self._held = self._held, b""
                receiver.data(chunk)
        finally:
            self._handing_over = False
        if self._outcome is not None and not self._paused and not self._over:
            self._over = True
            receiver.end(self._outcome)

    def _overtime(self) -> None:
        self._stop(BodyEnd.OVERTIME)

    def _stop(self, outcome: BodyEnd) -> None:
        self._finish(outcome)
        self._hand_over()

    def _wait_for_silence(self) -> None:
        """One timer per silence, not per chunk: when it fires it looks how long ago we heard."""
        self._silence_timer = None
        if self._paused:
            return  # resume() begins anew
        if self._sending is not None:  # whoever still listens need not speak
            self._heard_at = self._loop.time()
        due = self._heard_at + self._clocks.silence
        if due <= self._loop.time():
            self._stop(BodyEnd.SILENT)
        else:
            self._silence_timer = Alarm(self._loop, due, self._wait_for_silence)


class _Collector:
    """Takes a body into memory, up to a limit in bytes."""

    def __init__(self, limit: int, done: asyncio.Future[BodyEnd]) -> None:
        self.done = done
        self._limit = limit
        self._room = limit
        self._chunks: list[bytes] = []

    @property
    def body(self) -> bytes:
        return b"".join(self._chunks)[: self._limit]

    def data(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._room -= len(chunk)
        if self._room <= 0:
            self.end(BodyEnd.COMPLETE)  # as far as anyone wants to know

    def end(self, how: BodyEnd) -> None:
        if not self.done.done():
            self.done.set_result(how)
