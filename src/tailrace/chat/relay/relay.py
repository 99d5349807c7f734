"""The relay: an upstream's streamed answer becomes a stream of its events.

It asks, reads by plain calls from the upstream's connection, appends what each read brought as
one batch, and is the only one who writes the stream's ending:

    what the upstream does                     ending
    -----------------------------------------  ---------------------------------------------
    sends the event that ends an answer        completed; failed or cancelled where that says so
    ends the body without it                   cut
    breaks the connection                      cut
    is silent for too long                     stalled
    sends only comments and pings for too long stalled
    takes longer than an exchange may          stalled
    sends an error                             failed(its message)
    sends a chunk that is no JSON object       an ``error`` event; failed at the end, whatever it is
    sends an event over the limit              failed
    refuses, or does not speak HTTP            failed(why), where nobody waits to be told by status
    and we: somebody stops it                  cancelled
    nobody attends it any more                 cancelled, as its policy says (log/attendance.py)
    the store cannot keep up, then fails       failed(storage)
    the server shuts down                      interrupted

Until the first event nothing was shown of an answer, so one that fails is asked for again, as
long as there is an upstream to ask (``contracts.Attempts``), unless its error blames the request
(``wire/blame.py``); after it never: no retry may double what somebody has read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Final

from tailrace.chat.relay.answer_deadlines import AnswerDeadlines
from tailrace.chat.relay.answer_parser import (
    SEAM,
    AnswerEnd,
    Intake,
    Taken,
    Words,
    error_event,
    seam_event,
)
from tailrace.chat.relay.answer_stats import Facts
from tailrace.chat.relay.backpressure import LARGE_READ, Backpressure
from tailrace.chat.relay.continuation import continuation_of
from tailrace.chat.relay.observer import Listener
from tailrace.chat.relay.refusal import is_stream, words_of
from tailrace.chat.relay.relay_request import Continued, Order, RelayLimits
from tailrace.chat.relay.start_gate import Beginning
from tailrace.contracts import Attempts, BodyEnd, Call, Headers
from tailrace.errors import TailraceError, UpstreamBroken
from tailrace.log.attendance import Attendance
from tailrace.log.cursor import blocked_since
from tailrace.log.stream import Stream
from tailrace.model import DATA, ERROR, EndingKind
from tailrace.wire.llm.blame import blames_request
from tailrace.wire.llm.continuation import Rest

logger = logging.getLogger(__name__)

# How long the upstream may take to end its response after an answer's last event: a round trip and
# a little. Later than that, a new connection is cheaper than waiting to use this one again.
_DRAIN: Final = 2.0


class Relay:
    """A source: one upstream answer."""

    kind: ClassVar[str] = "relay"

    def __init__(
        self,
        stream: Stream,
        order: Order,
        limits: RelayLimits,
        redact: Callable[[bytes], bytes],
        listener: Listener,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self.stream: Final = stream
        self._continued = order.continued
        # What may be asked again is held as long as that may be, and no longer.
        self.order: Final = replace(order, continued=None)
        self.facts: Final = Facts(order.api.name, order.model, now)
        self.headers: Headers = ()
        """Of the upstream's response, once it has begun."""
        self._limits = limits
        self._redact = redact
        self._listener = listener
        self._attendance = Attendance(order.policy, stall=limits.stall, now=now)
        self._intake = self._new_intake()
        self._attempts: Attempts | None = None
        self._call: Call | None = None
        self._asking: asyncio.Task[None] | None = None
        self._backpressure = Backpressure(stream)
        self._beginning = Beginning(self._loop)
        self._last_words: tuple[Words, AnswerEnd] | None = None
        self._seam = ""
        """Why another upstream is to go on, until it does."""
        self._shown = False
        """Whether there is an event in the stream."""
        self._deadlines = AnswerDeadlines(self._attendance, limits, now)
        stream.source = self
        self._timer = self._loop.call_at(self._deadlines.look_at, self._look)

    def _new_intake(self, rest: Rest | None = None) -> Intake:
        return Intake(self.order, self._limits.max_event, self._redact, self.facts, rest)

    # --- beginning ------------------------------------------------------------------------

    def ask(self, attempts: Attempts) -> None:
        """Begin to ask."""
        self._attempts = attempts
        self._asking = self._loop.create_task(self._ask(attempts, ""))

    def wait(self) -> None:
        """A client waits for the answer's beginning, until it says ``waited``."""
        self._attendance.wait()
        self._beginning.waiting += 1

    def waited(self) -> None:
        """That client has become a viewer, or has left, or was told otherwise."""
        beginning = self._beginning
        beginning.waiting -= 1
        self._attendance.waited(self._loop.time())
        if beginning.waiting or self.stream.source is not self:
            return
        # Those who were to be told by status have left: it is said in the stream.
        if beginning.error is not None:
            self._fail(beginning.error)
        elif beginning.refusal is not None:
            self._put_into_words(beginning.refusal)
        else:
            self._loop.call_soon(self._look)

    async def begun(self, patience: float | None) -> Call | None:
        """Wait, at most ``patience`` seconds, for the upstream to say what its answer is.

        To be called by who said ``wait``. None: the stream is to be viewed, whatever has come of
        it. Where the upstream answered with something else than a stream, that call, once: it is
        the caller's from now on, and the stream is to be dropped. Raises TailraceError likewise.
        """
        refusal = await self._beginning.outcome(patience)
        if refusal is None:
            self.announce()
        return refusal

    def made_known(self) -> None:
        """A client was told, or told us, how this answer can be found."""
        self._attendance.made_known()

    def announce(self) -> None:
        """A client's response begins, with the answer's address: all else is said in the stream."""
        self.made_known()
        self._beginning.begin()
        if not self._beginning.waiting:  # it may be left alone from here on
            self._loop.call_soon(self._look)

    def opened(self) -> None:
        """Somebody reads it by its link, or asks how it stands, and may do so again."""
        self._attendance.opened(self._loop.time())

    async def _ask(self, attempts: Attempts, failure: str) -> None:
        call: Call | None = None
        nobody: TailraceError | None = None
        try:
            call = await attempts.next(failure)
        except TailraceError as error:
            nobody = error
        self._asking = None
        self.facts.upstream = attempts.upstream
        self.facts.attempts = attempts.count
        if nobody is not None:
            self._give_up(nobody)
        elif call is not None:
            self._answered(call)

    def _answered(self, call: Call) -> None:
        if self.stream.source is not self:
            call.cancel()
            return
        if not is_stream(call):
            refuse = self._beginning.refuse if self._beginning.can_refuse else self._put_into_words
            refuse(call)
            return
        self._call = call
        if not self._beginning.decided:
            self.headers = call.headers
            self._beginning.begin()
        if self._seam:
            self.facts.seams += 1
            seam, self._seam = self._seam, ""
            self.stream.feed([(SEAM, seam_event(seam, self.facts.upstream))])
        call.stream(self)

    def _put_into_words(self, call: Call) -> None:
        self._beginning.refusal = None
        self._asking = self._loop.create_task(self._fail_by(call))

    async def _fail_by(self, call: Call) -> None:
        error = await words_of(call, self._redact)
        self._asking = None
        self._give_up(error)

    def _give_up(self, error: TailraceError) -> None:
        """There is nobody left to ask."""
        if self.stream.source is not self:
            return
        if self._last_words is not None:
            self._end_with(*self._last_words)
        elif self._beginning.can_refuse:
            self._beginning.fail(error)
        else:
            self._fail(error)

    def _fail(self, error: TailraceError) -> None:
        words = [(ERROR, error_event(error.code, str(error)))]
        self._end_with(words, AnswerEnd(EndingKind.FAILED, str(error)))

    # --- what the upstream sends ----------------------------------------------------------

    def data(self, chunk: bytes) -> None:
        """The next bytes of the upstream's body."""
        stream = self.stream
        if stream.source is not self:
            return
        only = self._intake.only(chunk)
        if only is None:
            self._take(self._intake.feed(chunk))
            if len(chunk) >= LARGE_READ and self._call is not None:
                self._backpressure.give_way(self._call, lambda call: call is self._call)
            return
        stream.feed([(DATA, only)])
        if stream.congested:
            self._pause()

    def end(self, how: BodyEnd) -> None:
        """The upstream's body has ended."""
        if self.stream.source is not self:
            self._timer.cancel()
            return
        self._take(self._intake.finish(complete=how is BodyEnd.COMPLETE))
        self._ended_by(how)  # by itself, since mypyc takes the source to be what it was above

    def _ended_by(self, how: BodyEnd) -> None:
        # What was taken may have ended it, or have it asked for again.
        if self.stream.source is not self or self._asking is not None:
            return
        ending = self._intake.ended(how)
        if self._shown:
            self._broke_off([], ending)
        elif how in (BodyEnd.SILENT, BodyEnd.OVERTIME):
            # What was waited for in vain for minutes is not waited for again.
            self._end(ending)
        else:
            self._ask_again([], ending)

    def _take(self, taken: Taken) -> None:
        batch, last, words = taken
        intake = self._intake
        if self.facts.first_at is None and intake.begun:
            self.facts.first_at = self._loop.time()
            if self._continued is None:
                self._attempts = None  # and with it the request's body: it is not asked again
            if intake.identity:
                self.facts.identity = intake.identity
                self._listener.named(self, intake.identity)
        if batch:
            self._shown = True
            self.stream.feed(batch)
        if last is not None:
            self._take_last(words, intake.judged(last))
        elif batch and self.stream.congested:
            self._pause()

    def _pause(self) -> None:
        assert self._call is not None  # noqa: S101 - only records of a call bring us here
        self._backpressure.pause(self._call, self.stop)

    def _take_last(self, words: Words, end: AnswerEnd) -> None:
        if not words or blames_request(words[0][1]):
            self._end_with(words, end)  # any other upstream would say it, too
        elif self._shown:
            self._broke_off(words, end)
        else:
            self._ask_again(words, end)

    def _ask_again(self, words: Words, end: AnswerEnd) -> None:
        """It came to nothing before its first event: ask again, if there is anybody to ask."""
        self._last_words = (words, end)
        self._cancel_call()
        self._intake = self._new_intake()
        assert self._attempts is not None  # noqa: S101 - only a call of theirs brings us here
        self._asking = self._loop.create_task(self._ask(self._attempts, end.reason))

    def _cancel_call(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _broke_off(self, words: Words, end: AnswerEnd) -> None:
        """It ends in the middle; or another upstream is asked for the rest."""
        continued, attempts = self._continued, self._attempts
        if continued is None or attempts is None:
            self._end_with(words, end)
            return
        self._last_words = (words, end)
        self._cancel_call()
        self._asking = self._loop.create_task(self._go_on(continued, attempts, end.reason))

    async def _go_on(self, continued: Continued, attempts: Attempts, reason: str) -> None:
        found = await continuation_of(self.stream, continued)
        if found is None:
            self._asking = None
            self._give_up(UpstreamBroken(reason))
            return
        attempts.rewrite(found.body.data, found.body.values("model"))
        self._intake = self._new_intake(found.rest)
        self._seam = reason
        await self._ask(attempts, reason)

    # --- time, and who attends --------------------------------------------------------------

    def unwatched(self) -> None:
        """The last viewer has left."""
        self._attendance.left(self._loop.time())
        self._loop.call_soon(self._look)

    def _look(self) -> None:
        """What time alone makes due."""
        self._timer.cancel()
        stream = self.stream
        if stream.source is not self:
            return
        now, reads = self._loop.time(), self._call is not None and not self._backpressure.paused
        blocked = blocked_since(stream.cursors)
        ending = self._deadlines.look(now, stream.visible, blocked, reads=reads)
        if ending is not None:
            self._end(ending)
            return
        self._timer = self._loop.call_at(self._deadlines.look_at, self._look)

    def withdraw(self) -> bool:
        """It never began, and whoever asked is told so otherwise: the stream is to be dropped.

        False: that was done before, for another who asked.
        """
        if self.stream.source is not self:
            return False
        self.stream.source = None
        self._attempts = self._continued = None
        self._timer.cancel()
        self.facts.ended_at = self._loop.time()
        self._stop_asking()
        return True

    # --- ending ---------------------------------------------------------------------------

    def stop(self, kind: EndingKind, reason: str) -> None:
        """End the stream now and close the upstream's connection, whatever it was doing."""
        if self.stream.source is self:
            self._end(AnswerEnd(kind, reason))

    def _end(self, end: AnswerEnd) -> None:
        self._timer.cancel()
        self.stream.end(end.kind, end.reason, end.code)
        self._let_go(whole=end.kind is EndingKind.COMPLETED)
        viewers = self.stream.viewers + self._beginning.waiting
        self.facts.ended(self._loop.time(), self.stream.visible, viewers)
        # Who waits while the server goes away is told so by status: it has seen nothing yet.
        if end.kind is not EndingKind.INTERRUPTED:
            self._beginning.begin()
        self._listener.ended(self)

    def _end_with(self, words: Words, end: AnswerEnd) -> None:
        """End after what is to be said of it."""
        if words:
            self.stream.feed(words)
        self._end(end)

    def _stop_asking(self) -> None:
        # A cancelled task keeps the frames that it was in, and those keep us and the request's
        # body: without this reference they go at once, and not with the next collection.
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _let_go(self, *, whole: bool) -> None:
        self._attempts = self._continued = None
        self._stop_asking()
        if self._beginning.refusal is not None:
            self._beginning.refusal.cancel()
        if whole and self._call is not None:
            self._timer = self._loop.call_later(_DRAIN, self._call.cancel)
        else:
            self._cancel_call()
