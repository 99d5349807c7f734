"""One request, asked of one upstream after the other until an answer's first token.

What may follow a try:

    what the try brought                        another upstream   the same one
    ------------------------------------------  -----------------  ---------------------------------
    no connection                               yes                as often as the budget allows
    a connection that ended before a head       yes                one further try
    a clock that ran out before the head        yes                none
    408, 429, 5xx but for 501                   yes                one further try
      with ``x-should-retry: false``            no                 none: it is the answer
      5xx whose body blames the request         no                 none: it is the answer
    401, 403, 429 for one of several keys       yes                with each other key that is awake
    401, 403 otherwise, any other status        no                 none: it is the answer
    a stream without a token                    yes                one further try
      its first event blames the request        no                 none: it is the answer (the relay
                                                                   does not ask for another)

"One further try" is none where the client itself tries again, which official SDKs say by
``x-stainless-retry-count``: its next request is the further try. What blames the request:
``wire/blame.py``.

Who is asked next: the first of those that may still be asked, by

1. whether all its keys rest: last of all
2. when it may be asked: at once where it was not yet, else after a back-off that doubles with each
   of its failures, or when ``Retry-After`` says, if that is later
3. whether it has a free slot
4. its place in the route

The budget of time begins with the first failure: a first try that waits for minutes in a queue of
the upstream's own leaves room for a second. What would begin later is not tried. The last refusal
is kept, without its slot, until there is another answer: it is given if there is none.

An upstream that nearly always fails is left alone while there is another one. Where each of those
that may be asked fails so, they are asked all the same if they answer at all: a user is better
served by the upstream's own error than by ours. Only what does not answer is left alone then.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tailrace.contracts import Call, UpstreamRequest
from tailrace.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamQueueTimeout,
    UpstreamsBusy,
    UpstreamsDown,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tailrace.upstream.routing.backoff import delay, is_client_retry, is_retryable, retry_after
from tailrace.upstream.routing.endpoint import UpstreamEndpoint
from tailrace.upstream.routing.watched import Watched
from tailrace.wire.llm.blame import LONGEST, blames_request

# More names than these make no sentence.
_NAMES: Final = 5
# Tries of one upstream that may bring something else than an answer to be given. The second one
# gets over a restart or a lost worker; a third one mostly repeats what the second one brought.
_SHARE: Final = 2
# A refusal is a few hundred bytes that come with its head, or right behind it. One that takes
# longer is not read to find out whom it blames.
_PATIENCE: Final = 1.0


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How long and how often."""

    budget: float
    """Seconds from the first failure in which a further try may begin; 0: one try only."""
    retries: int
    """Tries after the first one."""
    breaker: bool = True
    """Whether an upstream that nearly always fails is left alone for a time."""


class Candidate(NamedTuple):
    """An upstream that answers for the model, and what it calls it."""

    endpoint: UpstreamEndpoint
    model: str


class _Tried:
    """What this request has met with at one upstream."""

    failures = 0
    """Tries that failed: the wait before the next one grows with them."""
    spent = 0
    """Those of them that count for ``_SHARE``."""
    keys_limited = 0
    """Keys of ours that were at their limit while another one was not."""
    ready_at = 0.0
    """When it may be asked again; infinity: not for this request."""


class RoutedAttempts:
    """``contracts.Attempts``. ``route`` is who may be asked; asked for again after a reload.

    ``draw`` gives random numbers in [0, 1), ``wall`` the time in seconds since the epoch.
    """

    def __init__(
        self,
        request: UpstreamRequest,
        route: Callable[[], Sequence[Candidate]],
        rules: RetryRules,
        draw: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.upstream = ""
        self.count = 0
        self._request = request
        self._route = route
        self._candidates = route()
        # What has begun to leave is not there to be sent again.
        once = not rules.budget or not isinstance(request.body, bytes)
        self._most = 1 if once else 1 + rules.retries
        self._share = 1 if is_client_retry(request.headers) else _SHARE
        self._budget = rules.budget
        self._heeds_breaker = rules.breaker
        self._draw = draw
        self._wall = wall
        self._clock = asyncio.get_running_loop().time
        self._tried: dict[UpstreamEndpoint, _Tried] = {}
        self._asked: UpstreamEndpoint | None = None
        self._deadline = math.inf
        self._given: Watched | None = None
        self._refusal: Watched | None = None
        """An answer that is given if there is no other. It holds no slot."""
        self._error: UpstreamError | None = None
        """Why the last try failed, where it brought no answer."""
        self._blamed: UpstreamError | None = None
        """The same, where its asker found that there was no token in it."""
        self._words = ""
        """What there is to say of the last try."""

    async def next(self, failure: str = "") -> Call:
        """As in the contract."""
        if self._given is not None and self._asked is not None:
            self._take_back(self._given, self._asked, failure)
        try:
            return await self._next()
        except BaseException:
            self._keep(None)
            raise

    async def _next(self) -> Call:
        while True:
            now = self._clock()
            candidate = self._choose(now)
            if candidate is None:
                return self._last()
            wait = self._of(candidate.endpoint).ready_at - now
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            try:
                if not await self._have_slot(candidate.endpoint):
                    continue
            except UpstreamQueueTimeout:
                if self._refusal is None:
                    raise
                return self._last()
            call = await self._try(candidate)
            if call is not None:
                return self._give(call)

    def rewrite(self, body: bytes, model_at: Sequence[tuple[int, int]] = ()) -> None:
        """As in the contract. Another request has tries of its own."""
        self._request = replace(self._request, body=body, model_at=model_at)
        for tried in self._tried.values():
            tried.spent = 0

    # --- choosing -----------------------------------------------------------------------------

    def _choose(self, now: float) -> Candidate | None:
        """Whom to ask next, when ready; None: nobody more. Raises UpstreamsDown, UpstreamsBusy."""
        if self.count >= self._most:
            return None
        open_to = [each for each in self._current() if self._may_ask(each.endpoint, now)]
        if not open_to and not self.count:
            raise self._all_down()
        with_room = [each for each in open_to if not each.endpoint.slots.full]
        if open_to and not with_room and self._refusal is None:
            raise _all_busy(open_to)
        return min(with_room, key=lambda each: self._rank(each.endpoint, now), default=None)

    def _current(self) -> Sequence[Candidate]:
        """The route's candidates, taken anew after a reload."""
        if any(candidate.endpoint.retired for candidate in self._candidates):
            self._candidates = self._route()
        return self._candidates

    def _may_ask(self, endpoint: UpstreamEndpoint, now: float) -> bool:
        tried = self._of(endpoint)
        begins = max(now, tried.ready_at)
        in_time = begins <= self._deadline and begins < math.inf
        return in_time and tried.spent < self._share and self._allowed(endpoint, now)

    def _allowed(self, endpoint: UpstreamEndpoint, now: float) -> bool:
        if not self._heeds_breaker:
            return True
        if any(candidate.endpoint.breaker.allows(now) for candidate in self._candidates):
            return endpoint.breaker.allows(now)
        return endpoint.reach.allows(now)

    def _rank(self, endpoint: UpstreamEndpoint, now: float) -> tuple[bool, float, bool]:
        ready_at = max(now, self._of(endpoint).ready_at)
        return (endpoint.rests(now), ready_at, not endpoint.slots.free)

    def _of(self, endpoint: UpstreamEndpoint) -> _Tried:
        return self._tried.setdefault(endpoint, _Tried())

    # --- trying -------------------------------------------------------------------------------

    async def _have_slot(self, endpoint: UpstreamEndpoint) -> bool:
        """False: things changed while it waited, so choose anew."""
        spec = endpoint.target.spec
        if not await endpoint.slots.take(spec.queue_timeout, spec.name):
            return False
        if endpoint.retired or not self._allowed(endpoint, self._clock()):
            endpoint.leave()
            return False
        return True

    async def _try(self, candidate: Candidate) -> Watched | None:
        """The answer, if it is to be given whatever else could be had; holds a slot."""
        endpoint = candidate.endpoint
        try:
            request = endpoint.address(self._request, candidate.model)
        except BaseException:
            endpoint.leave()
            raise
        self.count += 1
        self.upstream, self._asked = endpoint.name, endpoint
        try:
            call = await endpoint.ask(request)
        except UpstreamTimeout as error:
            # It had all the time there is; another may be quicker.
            self._failed(endpoint, error, ready_at=math.inf)
        except UpstreamUnreachable as error:
            self._failed(endpoint, error, spent=error.asked)
        except UpstreamBroken as error:
            self._failed(endpoint, error)
        else:
            return call if await self._is_final(endpoint, call) else None
        return None

    async def _is_final(self, endpoint: UpstreamEndpoint, call: Watched) -> bool:
        """Whether this answer is given. If not, it is kept in case that there is no other."""
        now = self._clock()
        if call.status in (401, 403) and endpoint.refused_key(call.key, now):
            self._failed(endpoint, None, ready_at=now, spent=False)
        elif not is_retryable(call.status, call.headers) or await _blames_request(call):
            return True
        else:
            self._refused(endpoint, call)
        self._keep(call)
        self._words = f"It answered {call.status}."
        return False

    def _refused(self, endpoint: UpstreamEndpoint, call: Watched) -> None:
        now = self._clock()
        tried = self._of(endpoint)
        asked_to_wait = retry_after(call.headers, self._wall())
        until = now + max(asked_to_wait or 0.0, delay(tried.failures + 1, self._draw()))
        if call.status != 429 and asked_to_wait is None:
            self._failed(endpoint, None, ready_at=until)
            return
        endpoint.rest(self._request, call.key, until)
        others = endpoint.has_key and not endpoint.rests(now)
        of_key = others and call.status == 429 and tried.keys_limited + 1 < endpoint.keys
        tried.keys_limited += of_key
        self._failed(endpoint, None, ready_at=now if others else until, spent=not of_key)

    def _failed(
        self,
        endpoint: UpstreamEndpoint,
        error: UpstreamError | None,
        ready_at: float | None = None,
        *,
        spent: bool = True,
    ) -> None:
        """A try brought nothing to be given. ``ready_at``: if not after the usual back-off;
        ``spent``: it counts for the upstream's share."""
        now = self._clock()
        tried = self._of(endpoint)
        tried.failures += 1
        tried.spent += spent
        tried.ready_at = now + delay(tried.failures, self._draw()) if ready_at is None else ready_at
        self._error = error
        if error is not None:
            self._words = str(error)
        if self._deadline == math.inf:
            self._deadline = now + self._budget

    def _give(self, call: Watched) -> Call:
        """An answer under way costs nothing of the budget, however long it thinks."""
        self._keep(None)
        self._given = call
        self._deadline -= self._clock()
        return call

    def _take_back(self, given: Watched, endpoint: UpstreamEndpoint, failure: str) -> None:
        """What was given brought no token."""
        self._given = None
        self._deadline += self._clock()
        given.blame()
        self._blamed = UpstreamBroken(
            failure or "The upstream's answer ended before its first token."
        )
        self._failed(endpoint, self._blamed)

    def _keep(self, refusal: Watched | None) -> None:
        """Keep this one instead of the last one, which is let go."""
        before, self._refusal = self._refusal, refusal
        if before is not None:
            before.cancel()
        if refusal is not None:
            refusal.free_slot()

    # --- the last word ------------------------------------------------------------------------

    def _last(self) -> Call:
        """There is no further try: the last refusal, or why there is nothing."""
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            return refusal
        error = self._error
        said_plainly = self._most == 1 or error is self._blamed
        if error is not None and (said_plainly or isinstance(error, UpstreamTimeout)):
            raise error
        tries = f"{self.count} tries" if self.count > 1 else "one try"
        raise UpstreamsDown(
            f"No upstream answered in {tries}; the last, {self.upstream!r}: {self._words}",
            self._due(),
        ) from error

    def _all_down(self) -> UpstreamsDown:
        due = self._due()
        return UpstreamsDown(
            f"{_have(self._candidates)} failed too often of late; the next request is tried in "
            f"{math.ceil(due)} s.",
            due,
        )

    def _due(self) -> float:
        """Seconds until one may be asked, at least one second."""
        due = min(candidate.endpoint.reach.due for candidate in self._candidates)
        return max(1.0, due - self._clock())


async def _blames_request(call: Watched) -> bool:
    """Whether a refusal that could be tried again says that the request is at fault."""
    if call.status < 500:
        return False
    try:
        blames = blames_request(await call.peek(LONGEST, _PATIENCE))
    except BaseException:
        call.cancel()
        raise
    call.judge(ok=blames)
    return blames


def _all_busy(candidates: Sequence[Candidate]) -> UpstreamsBusy:
    return UpstreamsBusy(
        f"{_have(candidates)} no room: as many requests as may are answered, and as many "
        "wait; try again in a moment."
    )


def _have(candidates: Sequence[Candidate]) -> str:
    """Who, with the verb that goes with it."""
    names = [repr(each.endpoint.name) for each in candidates]
    shown = names[:_NAMES] + (["…"] if len(names) > _NAMES else [])
    if len(names) == 1:
        return f"The upstream {names[0]} has"
    return f"The upstreams {', '.join(shown)} have"
