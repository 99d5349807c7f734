"""``/stream``: the article's endpoint. Ask in a URL, watch the answer appear.

Plain, the response is the article's to the byte: its status, its three headers, the text of
every delta. To a client that asks for ``text/event-stream`` by name it gives events with ids,
the first of them before the upstream is asked: from then on a lost connection resumes that
answer, and never asks, and pays for, a second one.
"""

from __future__ import annotations

from tailrace.contracts import Attempts, Call, Headers, UpstreamRequest
from tailrace.errors import NotFound
from tailrace.log.stream import Stream
from tailrace.model import Offset
from tailrace.server.addresses import stream_url
from tailrace.server.answers import Waiting, content_location, keep, make_answer
from tailrace.server.exchange import Exchange
from tailrace.server.model_api import beginning, policy_for
from tailrace.server.requests import (
    Prompt,
    build_chat_request,
    parse_stream_body,
    parse_stream_query,
    read_body,
)
from tailrace.server.services import CHAT, Services
from tailrace.server.viewing import STREAMING, view_stream
from tailrace.sources.order import Order
from tailrace.sources.refusal import refuse_unless_stream
from tailrace.sources.relay import Relay
from tailrace.views import make_view
from tailrace.views.sse import greeting
from tailrace.wire import apis
from tailrace.wire.estimate import estimated_request

# The article's three headers, in its spelling.
_ARTICLE: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
)


async def ask_by_query(exchange: Exchange, services: Services) -> None:
    """GET /stream?content=…"""
    seen = exchange.header(b"last-event-id")
    if seen and exchange.accepts_events():
        await _resume(exchange, services, seen.decode("latin-1"))
        return
    await _ask(exchange, services, parse_stream_query(exchange.query))


async def ask_by_body(exchange: Exchange, services: Services) -> None:
    """POST /stream: the same parameters as a form or as JSON."""
    body = await read_body(exchange.receive, services.max_body, exchange.headers)
    await _ask(exchange, services, parse_stream_body(exchange.header(b"content-type"), body))


async def _ask(exchange: Exchange, services: Services, prompt: Prompt) -> None:
    services.catalogue.refuse_if_unwell()
    if exchange.accepts_events():
        await _as_events(exchange, services, prompt)
    else:
        await _as_text(exchange, services, prompt)


class _Asking:
    """``Attempts`` that begin with finding out which model to name, where nobody named one."""

    def __init__(self, services: Services, prompt: Prompt) -> None:
        self._services = services
        self._prompt = prompt
        self._attempts: Attempts | None = None

    @property
    def upstream(self) -> str:
        return self._attempts.upstream if self._attempts is not None else ""

    @property
    def count(self) -> int:
        return self._attempts.count if self._attempts is not None else 0

    async def next(self, failure: str = "") -> Call:
        """As in the contract."""
        if self._attempts is None:
            model = self._prompt.model or await self._services.default_model()
            request = UpstreamRequest(
                "POST",
                apis.CHAT.path,
                [(b"content-type", b"application/json"), (b"accept", b"text/event-stream")],
                build_chat_request(self._prompt, model, usage=self._services.ask_usage),
                model,
            )
            self._attempts = self._services.upstreams.attempts(request)
        return await self._attempts.next(failure)

    def rewrite(self, body: bytes) -> None:
        """As in the contract."""
        if self._attempts is not None:
            self._attempts.rewrite(body)


def _make(exchange: Exchange, services: Services, prompt: Prompt) -> Relay:
    policy = policy_for(exchange, services, prompt.model, brief=False)
    length = len(prompt.content) + len(prompt.system)
    order = Order(
        apis.CHAT,
        policy,
        prompt.model,
        exchange.owner,
        hide_usage=services.ask_usage,
        input_tokens=estimated_request(length),
    )
    return make_answer(services, order)


async def _as_text(exchange: Exchange, services: Services, prompt: Prompt) -> None:
    relay = _make(exchange, services, prompt)
    relay.ask(_Asking(services, prompt))
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


async def _as_events(exchange: Exchange, services: Services, prompt: Prompt) -> None:
    relay = _make(exchange, services, prompt)
    stream = relay.stream
    with Waiting(relay) as waiting:
        # The greeting is a promise that this answer can be resumed: it has to survive a crash.
        await keep(stream, relay)
        await _start_events(exchange, stream)
        await exchange.write(greeting(stream.generation, stream_url(stream.name)))
        relay.announce()
        relay.ask(_Asking(services, prompt))
        view = make_view("sse", stream.content_type)
        await view_stream(exchange, services.catalogue, stream, view, 0, attached=waiting.over)


async def _resume(exchange: Exchange, services: Services, seen: str) -> None:
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


async def _answer_of(services: Services, offset: Offset | None) -> Stream | None:
    """The stream that an id of ours came from: an answer is named after its generation."""
    if offset is None:
        return None
    try:
        return await services.catalogue.get(CHAT + offset.generation)
    except NotFound:
        return None


def _seen_whole(stream: Stream, offset: Offset) -> bool:
    return stream.ending is not None and offset.seq >= stream.ending.seq


async def _start_events(exchange: Exchange, stream: Stream) -> None:
    fields: Headers = ((b"content-type", b"text/event-stream"), content_location(stream))
    await exchange.start(200, [*fields, *STREAMING])
