"""The table of routes: path, method, what it needs, who handles it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from tailrace.errors import MethodNotAllowed, NotFound
from tailrace.server import ask, front, model_api, streams
from tailrace.server.exchange import Exchange
from tailrace.server.services import CHAT, Services
from tailrace.server.trust import Right

Handler = Callable[[Exchange, Services], Awaitable[None]]


class Endpoint(NamedTuple):
    """What a method of a route needs and does."""

    right: Right
    handle: Handler


class Route(NamedTuple):
    """A place in the table. ``template`` is what logs call it: it holds nothing of the request."""

    template: str
    endpoints: dict[str, Endpoint]

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.endpoints)


_HEALTH: Final = Endpoint(Right.PUBLIC, front.health)

EXACT: Final = {
    "/": Route("/", {"GET": Endpoint(Right.PUBLIC, front.index)}),
    "/health": Route("/health", {"GET": _HEALTH, "HEAD": _HEALTH}),
    "/stream": Route(
        "/stream",
        {
            "GET": Endpoint(Right.ASK, ask.ask_by_query),
            "POST": Endpoint(Right.ASK, ask.ask_by_body),
        },
    ),
    "/v1/chat/completions": Route(
        "/v1/chat/completions", {"POST": Endpoint(Right.ASK, model_api.create_chat_completion)}
    ),
    "/v1/models": Route("/v1/models", {"GET": Endpoint(Right.ASK, model_api.list_models)}),
    "/streams": Route("/streams", {"GET": Endpoint(Right.MANAGE, streams.listing)}),
}

_STREAM: Final = {
    "GET": Endpoint(Right.READ_LINK, streams.read),
    "HEAD": Endpoint(Right.READ_LINK, streams.describe),
    "POST": Endpoint(Right.MANAGE, streams.stop),
    "DELETE": Endpoint(Right.MANAGE, streams.delete),
}
ANSWER: Final = Route("/streams/chat/{id}", _STREAM)
NAMED: Final = Route("/streams/{name}", _STREAM)


def find_route(path: str) -> Route:
    """The route for a raw path. Raises NotFound."""
    route = EXACT.get(path)
    if route is not None:
        return route
    if path.startswith(streams.ROOT + CHAT):
        return ANSWER
    if path.startswith(streams.ROOT):
        return NAMED
    raise NotFound("There is nothing at this path; GET / lists what there is.")


def find_endpoint(route: Route, method: str) -> Endpoint:
    """Raises MethodNotAllowed, which says what is."""
    endpoint = route.endpoints.get(method)
    if endpoint is None:
        raise MethodNotAllowed(route.methods)
    return endpoint
