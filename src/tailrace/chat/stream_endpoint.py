"""``/stream``: the article's endpoint. Ask in a URL, watch the answer appear.

Plain, the response is the article's to the byte: its status, its three headers, the text of
every delta. To a client that asks for ``text/event-stream`` by name it gives events with ids,
the first of them before the upstream is asked: from then on a lost connection resumes that
answer, and never asks, and pays for, a second one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tailrace.chat.answers import Waiting, content_location, keep
from tailrace.chat.create import beginning, policy_for
from tailrace.chat.namespace import PREFIX
from tailrace.chat.relay.refusal import refuse_unless_stream
from tailrace.chat.relay.relay import Relay
from tailrace.chat.relay.relay_request import Order
from tailrace.chat.services import ChatServices
from tailrace.contracts import Attempts, Call, Headers, UpstreamRequest
from tailrace.errors import NotFound
from tailrace.log.stream import Stream
from tailrace.model import Offset
from tailrace.views import make_view
from tailrace.views.sse import greeting
from tailrace.web.bodies import (
    Prompt,
    build_chat_request,
    parse_stream_body,
    parse_stream_query,
)
from tailrace.web.exchange import Exchange
from tailrace.web.paths import stream_url
from tailrace.web.stream_response import STREAMING, view_stream
from tailrace.wire.llm import apis
from tailrace.wire.llm.estimate import estimated_request

# The article's three headers, in its spelling.
_ARTICLE: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
)


async def ask_by_query(exchange: Exchange, services: ChatServices) -> None:
    """GET /stream?content=…"""
    seen = exchange.header(b"last-event-id")
    if seen and exchange.accepts_events():
        await _resume(exchange, services, seen.decode("latin-1"))
        return
    await _ask(exchange, services, _Asking(services, parse_stream_query(exchange.query)))


async def ask_by_body(exchange: Exchange, services: ChatServices) -> None:
    """POST /stream: the same parameters as a form or as JSON."""
    body = await services.core.bodies.read(exchange.receive, services.max_body, exchange.headers)
    parsing = parse_stream_body(exchange.header(b"content-type"), body.data)
    asking = _Asking(services, await services.core.turns.run(parsing), body.reserved)
    answering = _ask(exchange, services, asking)
    # What was asked is held by the relay, as long as it may have to be asked again.
    del body, parsing, asking
    await answering


async def _ask(exchange: Exchange, services: ChatServices, asking: _Asking) -> None:
    services.catalogue.refuse_if_unwell()
    answer = _as_events if exchange.accepts_events() else _as_text
    answering = answer(exchange, services, asking)
    del asking
    await answering


class _Asking:
    """``Attempts`` that begin with finding out which model to name, where nobody named one."""

    def __init__(self, services: ChatServices, prompt: Prompt, reserved: object = None) -> None:
        """``reserved`` is held as long as what is asked."""
        self.model = prompt.model
        """Empty where the client named none."""
        self.length = len(prompt.content) + len(prompt.system)
        """Characters that are sent."""
        self._services = services
        self._prompt: Prompt | None = prompt
        self._reserved = reserved
        self._attempts: Attempts | None = None

    @property
    def upstream(self) -> str:
        return self._attempts.upstream if self._attempts is not None else ""

    @property
    def count(self) -> int:
        return self._attempts.count if self._attempts is not None else 0

    async def next(self, failure: str = "") -> Call:
        """As in the contract."""
        prompt, self._prompt = self._prompt, None
        if prompt is not None:
            self._attempts = self._services.upstreams.attempts(await self._request(prompt))
        del prompt
        assert self._attempts is not None  # noqa: S101 - made from the prompt, which there was
        return await self._attempts.next(failure)

    async def _request(self, prompt: Prompt) -> UpstreamRequest:
        services = self._services
        model = prompt.model or await services.default_model()
        building = build_chat_request(prompt, model, usage=services.ask_usage)
        body, model_at = await services.core.turns.run(building)
        reserved, self._reserved = self._reserved, None
        return UpstreamRequest(
            "POST",
            apis.CHAT.path,
            [(b"content-type", b"application/json"), (b"accept", b"text/event-stream")],
            body,
            model,
            model_at=(model_at,),
            reserved=reserved,
        )

    def rewrite(self, body: bytes, model_at: Sequence[tuple[int, int]] = ()) -> None:
        """As in the contract."""
        if self._attempts is not None:
            self._attempts.rewrite(body, model_at)


def _make(exchange: Exchange, services: ChatServices, asking: _Asking) -> Relay:
    policy = policy_for(exchange, services, asking.model, brief=False)
    order = Order(
        apis.CHAT,
        policy,
        asking.model,
        exchange.principal.owner,
        hide_usage=services.ask_usage,
        input_tokens=estimated_request(asking.length),
    )
    return services.make_answer(order)


async def _as_text(exchange: Exchange, services: ChatServices, asking: _Asking) -> None:
    relay = _make(exchange, services, asking)
    relay.ask(asking)
    del asking
    stream = relay.stream
    with Waiting(relay) as waiting:
        # Without end: in this view there is nothing that could be sent meanwhile.
        refusal = await beginning(exchange, services, relay, patience=None)
        if refusal is not None:
            try:
                await refuse_unless_stream(refusal, services.upstreams.redact)
            finally:
                refusal.cancel()
        await exchange.start(200, [*_ARTICLE, content_location(stream)])
        view = make_view("text", stream.content_type)
        await view_stream(exchange, services.catalogue, stream, view, 0, attached=waiting.over)


async def _as_events(exchange: Exchange, services: ChatServices, asking: _Asking) -> None:
    relay = _make(exchange, services, asking)
    stream = relay.stream
    with Waiting(relay) as waiting:
        # The greeting is a promise that this answer can be resumed: it has to survive a crash.
        await keep(stream, relay)
        await _start_events(exchange, stream)
        await exchange.write(greeting(stream.generation, stream_url(stream.name)))
        relay.announce()
        relay.ask(asking)
        del asking
        view = make_view("sse", stream.content_type)
        await view_stream(exchange, services.catalogue, stream, view, 0, attached=waiting.over)


async def _resume(exchange: Exchange, services: ChatServices, seen: str) -> None:
    """EventSource came back to this URL: the rest of the answer it was reading.

    An id that leads nowhere gets 204, which makes EventSource stop; anything else would have it
    ask again, and pay, for an answer that nobody can tell from the first.
    """
    offset = Offset.parse(seen)
    stream = await _answer_of(services, offset)
    if offset is None or stream is None or _seen_whole(stream, offset):
        await exchange.respond(204)
        return
    await _start_events(exchange, stream)
    view = make_view("sse", stream.content_type)
    place = services.catalogue.place(stream, offset)
    await view_stream(exchange, services.catalogue, stream, view, place)


async def _answer_of(services: ChatServices, offset: Offset | None) -> Stream | None:
    """The stream that an id of ours came from: an answer is named after its generation."""
    if offset is None:
        return None
    try:
        return await services.catalogue.get(PREFIX + offset.generation)
    except NotFound:
        return None


def _seen_whole(stream: Stream, offset: Offset) -> bool:
    return stream.ending is not None and offset.seq >= stream.ending.seq


async def _start_events(exchange: Exchange, stream: Stream) -> None:
    fields: Headers = ((b"content-type", b"text/event-stream"), content_location(stream))
    await exchange.start(200, [*fields, *STREAMING])
