"""``POST /v1/responses``, with ``background`` whether or not the upstream knows such a thing.

In the background an answer is a stream like any other, which nobody's leaving ends: the client
gets the Response as soon as the upstream has begun it, and asks for it again by its id.
"""

from __future__ import annotations

import json

from tailrace.chat.answers import Waiting, note_of
from tailrace.chat.assembled import assembled, send_assembled
from tailrace.chat.create import (
    answer_by_stream,
    begin,
    beginning,
    hand_on,
    read_request,
    request_for,
)
from tailrace.chat.idempotency import KeyedAnswer
from tailrace.chat.pass_response import hand_through
from tailrace.chat.services import ChatServices
from tailrace.errors import UpstreamRefused
from tailrace.log.attendance import Disconnect, DisconnectPolicy
from tailrace.web.bodies import ModelRequest
from tailrace.web.exchange import Exchange
from tailrace.wire.llm.apis import RESPONSES


async def create_response(exchange: Exchange, services: ChatServices) -> None:
    """POST /v1/responses."""
    begun = await _begin_or_hand_on(exchange, services)
    # The request's body is not held from here on, but by who may have to send it again.
    if begun is None:
        return
    found, stream = begun
    if stream:
        await answer_by_stream(exchange, services, RESPONSES, found)
    else:
        await _answer_by_id(exchange, services, found)


async def _begin_or_hand_on(
    exchange: Exchange, services: ChatServices
) -> tuple[KeyedAnswer, bool] | None:
    """An answer, and whether it is to be streamed; None: it was handed through."""
    asked = await read_request(exchange, services)
    if asked.stream or asked.background:
        services.catalogue.refuse_if_unwell()
        return await _begin(exchange, services, asked), asked.stream
    request = request_for(exchange, RESPONSES, asked, asked.body)
    del asked
    handing_on = hand_on(exchange, services, request)
    del request
    await handing_on
    return None


async def _begin(exchange: Exchange, services: ChatServices, asked: ModelRequest) -> KeyedAnswer:
    if not asked.background:
        return await begin(exchange, services, RESPONSES, asked)
    sent = asked.body.with_member("stream", b"true").without_member("background")
    policy = DisconnectPolicy(Disconnect.DETACH)
    found = await begin(exchange, services, RESPONSES, asked, sent=sent, policy=policy)
    if not found.replayed:
        note = {**note_of(found.stream), "background": True}
        found.stream.note(json.dumps(note).encode())
    return found


async def _answer_by_id(exchange: Exchange, services: ChatServices, found: KeyedAnswer) -> None:
    """The Response as it begins. Raises UpstreamRefused where it never did."""
    stream = found.stream
    with Waiting(found.relay):
        refusal = await beginning(exchange, services, found.relay, patience=None)
        if refusal is not None:
            await hand_through(exchange, refusal, services.upstreams.redact)
            return
        await exchange.unless_gone(stream.changed(0))
    with services.assembling.hold(stream.info.size):
        answer = await assembled(services, RESPONSES, stream)
        if "id" not in answer:
            raise UpstreamRefused(stream.ending.reason if stream.ending else "It did not begin.")
        await send_assembled(exchange, services, answer, found.fields)
