"""``/v1``: asking the model APIs, unchanged: their bodies, their headers, their errors.

What streams is relayed and kept, and can be read again; what does not is handed through.
"""

from __future__ import annotations

from functools import partial

from tailrace.chat.answers import Waiting, keep
from tailrace.chat.idempotency import KeyedAnswer, read_key
from tailrace.chat.pass_response import hand_through
from tailrace.chat.relay.refusal import media_type, refuse_unless_stream
from tailrace.chat.relay.relay import Relay
from tailrace.chat.relay.relay_request import Order
from tailrace.chat.services import ChatServices
from tailrace.contracts import Call, UpstreamRequest
from tailrace.errors import BadRequest, TailraceError
from tailrace.log.attendance import DisconnectPolicy, deciding_policy
from tailrace.model import format_offset
from tailrace.views import make_view
from tailrace.web.bodies import (
    ModelRequest,
    prefers_async,
    read_model_request,
)
from tailrace.web.exchange import Exchange
from tailrace.web.forwarded_headers import to_client, to_upstream, without_keys
from tailrace.web.paths import stream_url
from tailrace.web.stream_response import STREAMING, view_stream
from tailrace.wire.json.json_edit import JsonObject
from tailrace.wire.llm.apis import CHAT, COMPLETIONS, MESSAGES, Api
from tailrace.wire.llm.continuation import Continuing
from tailrace.wire.llm.estimate import estimated_request


async def create_chat_completion(exchange: Exchange, services: ChatServices) -> None:
    """POST /v1/chat/completions."""
    await create(exchange, services, CHAT)


async def create_completion(exchange: Exchange, services: ChatServices) -> None:
    """POST /v1/completions."""
    await create(exchange, services, COMPLETIONS)


async def create_message(exchange: Exchange, services: ChatServices) -> None:
    """POST /v1/messages."""
    await create(exchange, services, MESSAGES)


async def create(exchange: Exchange, services: ChatServices, api: Api) -> None:
    """Relayed and kept where it streams, handed through where not."""
    found = await _begin_or_hand_on(exchange, services, api)
    # The request's body is not held from here on, but by who may have to send it again.
    if found is not None:
        await answer_by_stream(exchange, services, api, found)


async def _begin_or_hand_on(
    exchange: Exchange, services: ChatServices, api: Api
) -> KeyedAnswer | None:
    """An answer's stream; None: it was handed through."""
    asked = await read_request(exchange, services)
    if asked.stream:
        services.catalogue.refuse_if_unwell()
        return await begin(exchange, services, api, asked)
    request = request_for(exchange, api, asked, asked.body)
    del asked
    handing_on = hand_on(exchange, services, request)
    del request
    await handing_on
    return None


async def read_request(exchange: Exchange, services: ChatServices) -> ModelRequest:
    """The request's body. Raises BadRequest, BodyTooLarge, BodiesFull or ClientGone."""
    body = await services.core.bodies.read(exchange.receive, services.max_body, exchange.headers)
    asked = await services.core.turns.run(read_model_request(body.data))
    return asked._replace(reserved=body.reserved)


async def list_models(exchange: Exchange, services: ChatServices) -> None:
    """GET /v1/models."""
    fields = to_upstream(exchange.headers)
    await hand_on(exchange, services, UpstreamRequest("GET", f"/models{exchange.search}", fields))


async def hand_on(exchange: Exchange, services: ChatServices, request: UpstreamRequest) -> None:
    """Ask, and hand through what is answered.

    A client that leaves before cancels at once. Otherwise SDKs that give up and retry would have
    each attempt paid for.
    """
    asking = services.upstreams.attempts(request).next()
    del request  # held by the attempts, until there is an answer
    call = await exchange.unless_gone(asking)
    del asking
    await hand_through(exchange, call, services.upstreams.redact)


# --- answers that stream --------------------------------------------------------------------


def request_for(
    exchange: Exchange, api: Api, asked: ModelRequest, body: JsonObject
) -> UpstreamRequest:
    """The client's request, as the upstream is to have it, with this body."""
    headers = to_upstream(exchange.headers)
    if asked.stream and prefers_async(headers):
        # It is we who respond so: an upstream that did, too, would have no stream for us.
        headers = [field for field in headers if field[0] != b"prefer"]
    return UpstreamRequest(
        "POST",
        f"{api.path}{exchange.search}",
        headers,
        body.data,
        asked.model,
        model_at=body.values("model"),
        reserved=asked.reserved,
    )


def policy_for(
    exchange: Exchange, services: ChatServices, model: str, *, brief: bool
) -> DisconnectPolicy:
    """What leaving means here: as the request says, else its upstream's table, else the setting.

    ``brief``: what it means where none of them says. Raises BadRequest.
    """
    header = exchange.header(b"tailrace-disconnect") or b""
    said = (header.decode("latin-1"), services.upstreams.disconnect(model), services.disconnect)
    return deciding_policy(said, services.keep, brief=brief)


def continues(exchange: Exchange, services: ChatServices) -> bool:
    """Whether the rest of an answer that breaks off is to be asked for. Raises BadRequest."""
    header = exchange.header(b"tailrace-continue")
    if header is None:
        return services.continues
    if header.lower() not in (b"true", b"false"):
        raise BadRequest("Tailrace-Continue is 'true' or 'false'.")
    return header.lower() == b"true"


def order_for(
    exchange: Exchange,
    services: ChatServices,
    api: Api,
    body: JsonObject,
    asked: ModelRequest,
    *,
    policy: DisconnectPolicy,
) -> tuple[Order, JsonObject]:
    """What is asked for, and the body that asks for it: with usage, if nobody said otherwise.

    Raises BadRequest.
    """
    asks_usage = services.ask_usage and api.usage_on_request and not asked.stream_options
    if asks_usage:
        body = body.with_member("stream_options", b'{"include_usage":true}')
    goes_on = continues(exchange, services)
    order = Order(
        api,
        policy,
        asked.model,
        exchange.principal.owner,
        hide_usage=asks_usage,
        input_tokens=estimated_request(len(body.data)),
        continued=partial(Continuing, body) if goes_on and api is CHAT else None,
    )
    return order, body


async def answer_by_stream(
    exchange: Exchange, services: ChatServices, api: Api, found: KeyedAnswer
) -> None:
    """An answer's stream in its API's own view, from its start; or its address, for later."""
    if prefers_async(exchange.headers):
        await _answer_at_once(exchange, services, found)
        return
    with Waiting(found.relay) as waiting:
        patience = services.first_heartbeat
        refusal = await beginning(exchange, services, found.relay, patience)
        if refusal is not None:
            await hand_through(exchange, refusal, services.upstreams.redact)
            return
        await exchange.start(200, head_fields(services, found))
        view = make_view(api.view, found.stream.content_type)
        await view_stream(
            exchange, services.catalogue, found.stream, view, 0, attached=waiting.over
        )


async def _answer_at_once(exchange: Exchange, services: ChatServices, found: KeyedAnswer) -> None:
    """202 and where the answer will be (RFC 7240, 4.1); what becomes of it its stream says.

    Whoever asks so does not attend by asking: until somebody has come to view it, nobody can
    have left. Raises StoreError.
    """
    stream, relay = found.stream, found.relay
    if relay is not None:
        relay.made_known()
        # Not waited for; but one that another request with this key was just told is refused
        # will not be there.
        refusal = await beginning(exchange, services, relay, patience=0)
        if refusal is not None:
            await hand_through(exchange, refusal, services.upstreams.redact)
            return
    await keep(stream, relay)
    body = {
        "stream": stream.name,
        "url": stream_url(stream.name),
        "offset": format_offset(stream.generation, 0),
    }
    applied = (b"preference-applied", b"respond-async")
    await exchange.respond_json(body, 202, [applied, *found.fields])


async def begin(
    exchange: Exchange,
    services: ChatServices,
    api: Api,
    asked: ModelRequest,
    *,
    sent: JsonObject | None = None,
    policy: DisconnectPolicy | None = None,
) -> KeyedAnswer:
    """The answer to a request, asked for now if it was not before.

    ``sent``: what the upstream gets instead of the body; ``policy``: what leaving means, whatever
    request and configuration say. Raises BadRequest, NoSuchModel, IdempotencyMismatch, StoreError.
    """
    key = await services.core.turns.run(read_key(exchange, asked.body.data))
    can_return = key is not None or prefers_async(exchange.headers)
    policy = policy or policy_for(exchange, services, asked.model, brief=not can_return)
    order, sent = order_for(exchange, services, api, sent or asked.body, asked, policy=policy)
    attempts = services.upstreams.attempts(request_for(exchange, api, asked, sent))
    if key is not None:
        return await services.keys.find(
            key, lambda: services.make_answer(order), lambda relay: relay.ask(attempts)
        )
    relay = services.make_answer(order)
    relay.ask(attempts)
    return KeyedAnswer(relay.stream, relay, replayed=False)


async def beginning(
    exchange: Exchange, services: ChatServices, relay: Relay | None, patience: float | None
) -> Call | None:
    """Wait until an answer has begun, at most ``patience`` seconds (None: as long as it takes).

    What the upstream answered with instead, where that is the API's own to say: a status, or JSON
    of an upstream that cannot stream. To anything else, a web page say, SDKs that wait for events
    are deaf: they would take it for an empty answer. Raises TailraceError where it did not begin.
    """
    if relay is None:
        return None
    refused: TailraceError | None = None
    call: Call | None = None
    try:
        call = await exchange.unless_gone(relay.begun(patience))
        if call is not None and call.status == 200 and media_type(call) != "application/json":
            await refuse_unless_stream(call, services.upstreams.redact)
    except TailraceError as error:
        refused = error
    if call is None and refused is None:
        return None
    services.recorder.refused(relay)
    if refused is not None:
        if call is not None:
            call.cancel()
        raise refused
    return call


def head_fields(services: ChatServices, found: KeyedAnswer) -> list[tuple[bytes, bytes]]:
    """The upstream's fields, and ours."""
    upstream = found.relay.headers if found.relay is not None else ()
    kept = [
        (name, value)
        for name, value in without_keys(to_client(upstream), services.upstreams.redact)
        if name not in (b"cache-control", b"x-accel-buffering", b"content-type")
    ]
    return [(b"content-type", b"text/event-stream"), *kept, *STREAMING, *found.fields]
