"""Answers that we keep, by the id that their API gave them: to be read again, stopped, deleted.

    call                                            answer
    ----------------------------------------------  ------------------------------------------
    GET /v1/responses/{id}                          the Response, as far as it has come
    GET …?stream=true&starting_after=N              its events after number N, live
    POST /v1/responses/{id}/cancel                  the same, stopped; of an ended one, as it is
    DELETE /v1/responses/{id}                       forgotten
    GET, DELETE /v1/chat/completions/{id}           likewise; N counts events from 0

An id belongs to the credentials that the answer was asked with (``owners.py``). Where one
repeats, it means the latest answer; an earlier one has its own link. An id that means no answer
of theirs is the upstream's affair: it is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import unquote

from tailrace.chat.answers import alias_of, content_location, note_of
from tailrace.chat.assembled import assembled, send_assembled
from tailrace.chat.passthrough import pass_on, upstream_path
from tailrace.chat.services import ChatServices
from tailrace.contracts import UpstreamRequest
from tailrace.errors import BadRequest, NotFound, UpstreamRefused
from tailrace.log.reading import read_range, shown_of
from tailrace.log.stream import Stream
from tailrace.model import EndingKind
from tailrace.views import make_view
from tailrace.web.bodies import first_value
from tailrace.web.exchange import Exchange
from tailrace.web.forwarded_headers import to_upstream
from tailrace.web.stream_response import STREAMING, view_stream, visit
from tailrace.wire.llm.apis import CHAT, RESPONSES, Api
from tailrace.wire.llm.facts import sequence_number

Handler = Callable[[Exchange, ChatServices], Awaitable[None]]

# What upstreams say of an answer that they do not have, or of a call that they do not know.
_KEEPS_NOTHING: Final = (404, 405, 501)
_STOPPED: Final = "Stopped by a client."
_CANCEL: Final = "/cancel"
_DELETED: Final = {CHAT.name: "chat.completion.deleted", RESPONSES.name: "response"}


def _identity(exchange: Exchange, api: Api) -> str:
    return unquote(exchange.path.removeprefix(f"/v1{api.path}/"))


async def _find(
    exchange: Exchange, services: ChatServices, api: Api, identity: str
) -> Stream | None:
    """The latest answer of this id that was asked for with the credentials of this request."""
    if not identity or "/" in identity:
        return None
    try:
        stream = await services.catalogue.known_as(
            alias_of(api, identity, exchange.principal.owner)
        )
    except NotFound:
        return None
    visit(services.catalogue, stream)
    return stream


def retrieve(api: Api) -> Handler:
    """GET of one answer."""

    async def handle(exchange: Exchange, services: ChatServices) -> None:
        stream = await _find(exchange, services, api, _identity(exchange, api))
        if stream is None:
            await pass_on(exchange, services)
            return
        if first_value(exchange.query, "stream").lower() != "true":
            await _respond(exchange, services, api, stream)
            return
        place = await _place(api, stream, first_value(exchange.query, "starting_after"))
        head = [(b"content-type", b"text/event-stream"), *STREAMING, content_location(stream)]
        await exchange.start(200, head)
        view = make_view(api.view, stream.content_type)
        await view_stream(exchange, services.catalogue, stream, view, place)

    return handle


def cancel(api: Api) -> Handler:
    """POST …/cancel: however often, the answer stays as it then stands."""

    async def handle(exchange: Exchange, services: ChatServices) -> None:
        identity, stop, _ = _identity(exchange, api).rpartition(_CANCEL)
        stream = await _find(exchange, services, api, identity) if stop else None
        if stream is None:
            await pass_on(exchange, services)
            return
        services.catalogue.stop(stream, EndingKind.CANCELLED, _STOPPED)
        await stream.committed()
        await _respond(exchange, services, api, stream)

    return handle


def delete(api: Api) -> Handler:
    """DELETE of one answer: stopped, if need be, and erased, and at the upstream, too."""

    async def handle(exchange: Exchange, services: ChatServices) -> None:
        identity = _identity(exchange, api)
        stream = await _find(exchange, services, api, identity)
        if stream is None:
            await pass_on(exchange, services)
            return
        model = str(note_of(stream).get("model", ""))
        await services.catalogue.delete(stream.name)
        await _delete_there(exchange, services, model)
        deleted = {"id": identity, "object": _DELETED[api.name], "deleted": True}
        await exchange.respond_json(deleted)

    return handle


async def _respond(exchange: Exchange, services: ChatServices, api: Api, stream: Stream) -> None:
    with services.assembling.hold(stream.info.size):
        answer = await assembled(services, api, stream)
        fields = [content_location(stream)]
        if stream.ending is not None:
            fields.append((b"stream-ending", stream.ending.kind.value.encode()))
        await send_assembled(exchange, services, answer, fields)


async def _delete_there(exchange: Exchange, services: ChatServices, model: str) -> None:
    """Whoever deletes an answer means it. Raises UpstreamError where the upstream did not do it."""
    path = upstream_path(exchange.path)
    headers = to_upstream(exchange.headers)
    request = UpstreamRequest("DELETE", path, headers, model=model)
    call = await exchange.unless_gone(services.upstreams.attempts(request).next())
    call.cancel()
    if call.status >= 300 and call.status not in _KEEPS_NOTHING:
        raise UpstreamRefused(
            "The answer is deleted here; the upstream, asked to delete it, too, answered "
            f"{call.status}. Send this again."
        )


# --- where to read on -----------------------------------------------------------------------


async def _place(api: Api, stream: Stream, starting_after: str) -> int:
    """The place after event number ``starting_after``; empty: the beginning.

    A number that no event has means the last one below it. So nobody is placed behind the
    ending: an answer that was cut says so to whoever has all that came of it.
    """
    if not starting_after:
        return 0
    if not (starting_after.isascii() and starting_after.isdigit() and len(starting_after) < 16):
        raise BadRequest("'starting_after' must be the number of an event: 0, 1, 2, …")
    number = int(starting_after)
    if api is RESPONSES and await _number_at(stream, number + 1) == number:
        return number + 1  # as OpenAI counts: nothing to look for
    return await _place_after(api, stream, number)


async def _number_at(stream: Stream, place: int) -> int | None:
    """The number that the upstream gave to the event before ``place``, if it gave any."""
    events = await read_range(stream, place - 1, 1)
    return sequence_number(events[0].data) if events and events[0].seq == place else None


async def _place_after(api: Api, stream: Stream, number: int) -> int:
    """The place before the first event of a higher number: the upstream's, which only grow.

    Events that have none count from 0, and remarks of ours, which clients are not shown, do not.
    """
    counted = 0
    async for event in shown_of(stream):
        own = sequence_number(event.data) if api is RESPONSES else None
        if (counted if own is None else own) > number:
            return event.seq - 1
        counted += 1
    return stream.visible
