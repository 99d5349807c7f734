"""The table of routes: path, method, what it needs, who handles it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from tailrace.access.policy import Right
from tailrace.chat import background, create, passthrough, stored_answers, stream_endpoint
from tailrace.console import assets, follow, login
from tailrace.errors import MethodNotAllowed, NotFound
from tailrace.server import index
from tailrace.streams import listing, read, write
from tailrace.web.exchange import Exchange
from tailrace.web.paths import ROOTS, Roots
from tailrace.web.services import CHAT, Services
from tailrace.wire.llm.apis import CHAT as CHAT_API
from tailrace.wire.llm.apis import RESPONSES

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
_PASS_ON: Final = Endpoint(Right.ASK, passthrough.pass_on)
_HEALTH: Final = Endpoint(Right.PUBLIC, index.health)

_INDEX: Final = Endpoint(Right.PUBLIC, index.index)
_PAGE: Final = Endpoint(Right.PUBLIC, assets.page)

EXACT: Final = {
    "/": Route("/", {"GET": _INDEX, "HEAD": _INDEX}),
    "/health": Route("/health", {"GET": _HEALTH, "HEAD": _HEALTH}),
    "/stream": Route(
        "/stream",
        {
            "GET": Endpoint(Right.ASK, stream_endpoint.ask_by_query),
            "POST": Endpoint(Right.ASK, stream_endpoint.ask_by_body),
        },
    ),
    "/v1/chat/completions": Route(
        "/v1/chat/completions",
        {
            "GET": _PASS_ON,
            "POST": Endpoint(Right.ASK, create.create_chat_completion),
        },
    ),
    "/v1/completions": Route(
        "/v1/completions", {"POST": Endpoint(Right.ASK, create.create_completion)}
    ),
    "/v1/messages": Route("/v1/messages", {"POST": Endpoint(Right.ASK, create.create_message)}),
    "/v1/responses": Route(
        "/v1/responses", {"POST": Endpoint(Right.ASK, background.create_response)}
    ),
    "/v1/models": Route("/v1/models", {"GET": Endpoint(Right.ASK, create.list_models)}),
    "/streams": Route("/streams", {"GET": Endpoint(Right.MANAGE, listing.listing)}),
    "/page": Route("/page/{path}", {"GET": _PAGE, "HEAD": _PAGE}),
    "/page/follow": Route("/page/follow", {"POST": Endpoint(Right.MANAGE, follow.follow)}),
    "/page/login": Route("/page/login", {"POST": Endpoint(Right.LOGIN, login.log_in)}),
    "/page/logout": Route("/page/logout", {"POST": Endpoint(Right.LOGIN, login.log_out)}),
}

_STREAM: Final = {
    "GET": Endpoint(Right.READ_LINK, read.read),
    "HEAD": Endpoint(Right.READ_LINK, read.describe),
    "PUT": Endpoint(Right.MANAGE, write.put),
    "POST": Endpoint(Right.MANAGE, write.post),
    "DELETE": Endpoint(Right.MANAGE, write.delete),
}
_BELOW: Final = {
    root + prefix: Route(f"{root}{prefix}{{{what}}}", _STREAM)
    for root in ROOTS
    for prefix, what in ((CHAT, "id"), ("", "name"))
}
_OTHERS: Final = Route(
    f"{passthrough.PREFIX}/{{path}}",
    dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), _PASS_ON),
)
_BELOW_MODELS: Final = {
    f"/v1{api.path}/": Route(
        f"/v1{api.path}/{{id}}",
        {
            "GET": Endpoint(Right.ASK, stored_answers.retrieve(api)),
            "POST": Endpoint(Right.ASK, stored_answers.cancel(api)),
            "DELETE": Endpoint(Right.ASK, stored_answers.delete(api)),
        },
    )
    for api in (CHAT_API, RESPONSES)
} | {f"{passthrough.PREFIX}/": _OTHERS}


def find_route(path: str) -> Route:
    """The route for a raw path. Raises NotFound."""
    route = EXACT.get(path)
    if route is not None:
        return route
    for start, route in _BELOW.items():
        if path.startswith(start):
            return route
    if path.startswith(assets.ROOT):
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
