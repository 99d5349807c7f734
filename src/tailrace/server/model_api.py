"""``/v1``: the model APIs, unchanged."""

from __future__ import annotations

from tailrace.contracts import Call, UpstreamRequest
from tailrace.server.answers import content_location, start_answer
from tailrace.server.exchange import Exchange
from tailrace.server.headers import to_client, to_upstream
from tailrace.server.passing import pass_refusal, pass_through
from tailrace.server.requests import peek_stream_flag, read_body
from tailrace.server.services import Services
from tailrace.server.viewing import STREAMING, view_stream
from tailrace.sources.relay import refuse_unless_stream
from tailrace.views import make_view


async def create_chat_completion(exchange: Exchange, services: Services) -> None:
    """POST /v1/chat/completions: relayed and kept where it streams, handed through where not."""
    body = await read_body(exchange.receive, services.max_body, exchange.headers)
    streaming = peek_stream_flag(body)
    if streaming:
        services.catalogue.refuse_if_unwell()
    call = await _ask(exchange, services, "POST", "/chat/completions", body)
    try:
        await _answer(exchange, services, call, streaming)
    except BaseException:
        call.cancel()
        raise


async def list_models(exchange: Exchange, services: Services) -> None:
    """GET /v1/models."""
    query = f"?{exchange.query.decode('latin-1')}" if exchange.query else ""
    call = await _ask(exchange, services, "GET", f"/models{query}", b"")
    try:
        await _hand_through(exchange, services, call)
    except BaseException:
        call.cancel()
        raise


async def _ask(exchange: Exchange, services: Services, method: str, path: str, body: bytes) -> Call:
    """Ask the upstream; a client that leaves before it answers cancels at once.

    Otherwise SDKs that give up and retry would have each attempt paid for.
    """
    keep = exchange.forward_authorization and not services.upstream.has_key
    headers = to_upstream(exchange.headers, keep_authorization=keep)
    request = UpstreamRequest(method, path, headers, body)
    return await exchange.unless_gone(services.upstream.ask(request))


async def _answer(exchange: Exchange, services: Services, call: Call, streaming: bool) -> None:
    media_type = dict(call.headers).get(b"content-type", b"").split(b";")[0].strip().lower()
    # JSON is the API's own answer, of an upstream that cannot stream it. To anything else, a
    # web page say, SDKs that wait for events are deaf: they would take it for an empty answer.
    as_it_is = media_type == b"application/json" or call.status != 200
    if not streaming or as_it_is:
        await _hand_through(exchange, services, call)
        return
    redact = services.upstream.redact
    await refuse_unless_stream(call, redact)
    stream = start_answer(services, call)
    kept = [
        (name, redact(value))
        for name, value in to_client(call.headers)
        if name not in (b"cache-control", b"x-accel-buffering")
    ]
    await exchange.start(200, [*kept, *STREAMING, content_location(stream)])
    await view_stream(
        exchange, services.catalogue, stream, make_view("openai", stream.content_type), 0
    )


async def _hand_through(exchange: Exchange, services: Services, call: Call) -> None:
    hand = pass_refusal if call.status >= 400 else pass_through
    await exchange.unless_gone(hand(exchange, call, services.upstream.redact))
