"""The table of routes: path, method, what it needs, who handles it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from tailrace.errors import MethodNotAllowed, NotFound
from tailrace.server import (
    ask,
    follow,
    front,
    kept_answers,
    login,
    model_api,
    model_passing,
    page,
    responses_api,
    stream_read,
    stream_write,
    streams,
)
from tailrace.server.addresses import ROOTS, Roots
from tailrace.server.exchange import Exchange
from tailrace.server.services import CHAT, Services
from tailrace.server.trust import Right
from tailrace.wire.apis import CHAT as CHAT_API
from tailrace.wire.apis import RESPONSES

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


# Of what goes there only the upstream knows something.
_PASS_ON: Final = Endpoint(Right.ASK, model_passing.pass_on)
_HEALTH: Final = Endpoint(Right.PUBLIC, front.health)

_INDEX: Final = Endpoint(Right.PUBLIC, front.index)
_PAGE: Final = Endpoint(Right.PUBLIC, page.page)

EXACT: Final = {
    "/": Route("/", {"GET": _INDEX, "HEAD": _INDEX}),
    "/health": Route("/health", {"GET": _HEALTH, "HEAD": _HEALTH}),
    "/stream": Route(
        "/stream",
        {
            "GET": Endpoint(Right.ASK, ask.ask_by_query),
            "POST": Endpoint(Right.ASK, ask.ask_by_body),
        },
    ),
    "/v1/chat/completions": Route(
        "/v1/chat/completions",
        {
            "GET": _PASS_ON,
            "POST": Endpoint(Right.ASK, model_api.create_chat_completion),
        },
    ),
    "/v1/completions": Route(
        "/v1/completions", {"POST": Endpoint(Right.ASK, model_api.create_completion)}
    ),
    "/v1/messages": Route("/v1/messages", {"POST": Endpoint(Right.ASK, model_api.create_message)}),
    "/v1/responses": Route(
        "/v1/responses", {"POST": Endpoint(Right.ASK, responses_api.create_response)}
    ),
    "/v1/models": Route("/v1/models", {"GET": Endpoint(Right.ASK, model_api.list_models)}),
    "/streams": Route("/streams", {"GET": Endpoint(Right.MANAGE, streams.listing)}),
    "/page": Route("/page/{path}", {"GET": _PAGE, "HEAD": _PAGE}),
    "/page/follow": Route("/page/follow", {"POST": Endpoint(Right.MANAGE, follow.follow)}),
    "/page/login": Route("/page/login", {"POST": Endpoint(Right.LOGIN, login.log_in)}),
    "/page/logout": Route("/page/logout", {"POST": Endpoint(Right.LOGIN, login.log_out)}),
}

_STREAM: Final = {
    "GET": Endpoint(Right.READ_LINK, stream_read.read),
    "HEAD": Endpoint(Right.READ_LINK, stream_read.describe),
    "PUT": Endpoint(Right.MANAGE, stream_write.put),
    "POST": Endpoint(Right.MANAGE, stream_write.post),
    "DELETE": Endpoint(Right.MANAGE, stream_write.delete),
}
_BELOW: Final = {
    root + prefix: Route(f"{root}{prefix}{{{what}}}", _STREAM)
    for root in ROOTS
    for prefix, what in ((CHAT, "id"), ("", "name"))
}
_OTHERS: Final = Route(
    f"{model_passing.PREFIX}/{{path}}",
    dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), _PASS_ON),
)
_BELOW_MODELS: Final = {
    f"/v1{api.path}/": Route(
        f"/v1{api.path}/{{id}}",
        {
            "GET": Endpoint(Right.ASK, kept_answers.retrieve(api)),
            "POST": Endpoint(Right.ASK, kept_answers.cancel(api)),
            "DELETE": Endpoint(Right.ASK, kept_answers.delete(api)),
        },
    )
    for api in (CHAT_API, RESPONSES)
} | {f"{model_passing.PREFIX}/": _OTHERS}


def find_route(path: str) -> Route:
    """The route for a raw path. Raises NotFound."""
    route = EXACT.get(path)
    if route is not None:
        return route
    for start, route in _BELOW.items():
        if path.startswith(start):
            return route
    if path.startswith(page.ROOT):
        return EXACT["/page"]
    for start, route in _BELOW_MODELS.items():
        if path.startswith(start) and path != start:
            return route
    raise NotFound("There is nothing at this path; GET / lists what there is.")


class Table(NamedTuple):
    """The routes of one application."""

    find: Callable[[str], Route]
    """The route for a raw path below the application's base. Raises NotFound."""
    roots: Roots = ROOTS
    """Below which paths the streams are."""


SERVER: Final = Table(find_route)


def mounted(*, writable: bool) -> Table:
    """Streams alone, their names right below the base; the base itself lists them."""
    methods = _STREAM if writable else {name: _STREAM[name] for name in ("GET", "HEAD")}
    named = Route("{mount}/{name}", methods)
    listing = Route("{mount}/", EXACT["/streams"].endpoints)

    def find(path: str) -> Route:
        if path not in ("", "/"):
            return named
        if writable:
            return listing
        raise NotFound("There is nothing at this path; streams are below it.")

    return Table(find, ("/",))


def find_endpoint(route: Route, method: str) -> Endpoint:
    """Raises MethodNotAllowed, which says what is."""
    endpoint = route.endpoints.get(method)
    if endpoint is None:
        raise MethodNotAllowed(route.methods)
    return endpoint
