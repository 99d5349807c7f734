"""One of several upstreams: its connections, its keys, how it fares and how much it may have."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from tailrace.contracts import UpstreamRequest
from tailrace.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from tailrace.upstream.http.http_client import HttpUpstream
from tailrace.upstream.routing.breaker import Breaker
from tailrace.upstream.routing.keys import REFUSED, KeyRing
from tailrace.upstream.routing.slots import Slots
from tailrace.upstream.routing.target import Target
from tailrace.upstream.routing.watched import Watched
from tailrace.wire.json.json_edit import read_object, replace_spans
from tailrace.wire.llm import credentials
from tailrace.wire.slices import finish

_JSON_OBJECT: Final = re.compile(rb"[ \t\n\r]*\{")


class UpstreamEndpoint:
    """Raises ConfigError for a malformed URL, key or proxy variable. On a running loop."""

    def __init__(
        self,
        target: Target,
        environ: Mapping[str, str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.target = target
        self.breaker = Breaker()
        """Whether it is asked while there is another one: any failure counts."""
        self.reach = Breaker()
        """Whether it is asked where there is no other: only what is no HTTP answer counts."""
        self.slots = Slots(target.spec.max_streams, target.spec.max_queue)
        self.retired = False
        # One pool of connections for each key: where a gateway ties a connection to the key that
        # it first saw on it, that matters.
        self._lines = [
            HttpUpstream(
                target.spec.url,
                api_key=key,
                auth=target.auth,
                clocks=target.clocks,
                tls=tls,
                environ=environ,
            )
            for key in target.keys or (None,)
        ]
        self._ring = KeyRing(len(self._lines))
        self._clock = asyncio.get_running_loop().time
        self._on_idle: Callable[[], None] | None = None

    @property
    def name(self) -> str:
        return self.target.spec.name

    @property
    def base_url(self) -> str:
        return self._lines[0].base_url

    @property
    def has_key(self) -> bool:
        return bool(self.target.keys)

    @property
    def keys(self) -> int:
        """How many keys of ours it has."""
        return len(self.target.keys)

    def rests(self, now: float) -> bool:
        """Whether it asked for a pause with every key."""
        return self._ring.awake_at() > now

    def awake_at(self) -> float:
        """When one of its keys rests no more."""
        return self._ring.awake_at()

    def rest(self, request: UpstreamRequest, key: int, until: float) -> None:
        """It refused a request for its rate: use other keys until then.

        Not where the client's own key is at its limit: that is no other client's affair.
        """
        if self.has_key or not any(
            name.lower() in credentials.FIELDS for name, _ in request.headers
        ):
            self._ring.rest(key, until)

    def refused_key(self, key: int, now: float) -> bool:
        """It refused our key: let it rest. True: there is another one that does not."""
        if not self.has_key:
            return False
        self._ring.rest(key, now + REFUSED)
        return not self.rests(now)

    def address(self, request: UpstreamRequest, model: str) -> UpstreamRequest:
        """The request with the name that this upstream has for its model.

        Only in a JSON body; raises BadRequest where that is none after all.
        """
        body = request.body
        if model == request.model or not isinstance(body, bytes) or not _JSON_OBJECT.match(body):
            return request
        if request.model_at:
            body = replace_spans(body, request.model_at, _quoted(model))
        else:
            body = finish(read_object(body)).with_member("model", _quoted(model)).data
        return replace(request, body=body, model=model, model_at=())

    async def ask(self, request: UpstreamRequest) -> Watched:
        """Ask, for one who holds a slot, which goes back when the call is over, or fails.

        Raises what ``HttpUpstream.ask`` does.
        """
        now = self._clock()
        key = self._ring.pick(now)
        ticket, reach = self.breaker.begin(now), self.reach.begin(now)
        try:
            call = await self._lines[key].ask(request)
        except BaseException as error:
            now = self._clock()
            if isinstance(error, UpstreamUnreachable | UpstreamBroken | UpstreamTimeout):
                self.breaker.record(ticket, False, now)
                self.reach.record(reach, False, now)
            else:
                self.breaker.forget(ticket, now)
                self.reach.forget(reach, now)
            self.leave()
            raise
        self.reach.record(reach, True, self._clock())
        return Watched(call, self.breaker, ticket, key=key, clock=self._clock, over=self.leave)

    def leave(self) -> None:
        """Give a slot back."""
        self.slots.give_back()
        self._close_if_idle()

    def adopt(self, target: Target) -> None:
        """Other models, weights or limits on the same connections."""
        self.target = target
        self.slots.resize(target.spec.max_streams, target.spec.max_queue)

    def retire(self, on_idle: Callable[[], None]) -> None:
        """Nothing new; ``on_idle`` is called once the answers that run have ended."""
        self.retired = True
        self._on_idle = on_idle
        self.slots.dismiss()
        self._close_if_idle()

    async def close(self) -> None:
        """Close every connection. Running answers are cut."""
        await asyncio.gather(*(line.close() for line in self._lines))

    def _close_if_idle(self) -> None:
        if self._on_idle is not None and not self.slots.taken:
            on_idle, self._on_idle = self._on_idle, None
            on_idle()


def _quoted(model: str) -> bytes:
    """A JSON string in UTF-8 bytes of ASCII: lone surrogates of a file's name survive."""
    return json.dumps(model).encode("ascii")
