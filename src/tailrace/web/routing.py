"""The route table: path pattern, method, right, handler; and the one way of matching.

A pattern is segments divided by slashes:

    segment     matches                                    among patterns that match
    ----------  -----------------------------------------  -------------------------
    ``word``    that segment, as it was sent               goes first
    ``{x}``     one segment that is not empty              goes second
    ``{x*}``    all that is left, which is not empty       goes last

Paths are matched raw, percent-encoded as they were sent: what a path means is the handler's
affair. A pattern is also what the access log calls a route, since it holds nothing of a request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from tailrace.contracts import Right
from tailrace.errors import MethodNotAllowed, NotFound
from tailrace.web.exchange import Exchange

S = TypeVar("S")

Handler: TypeAlias = Callable[[Exchange], Awaitable[None]]

STREAM: Final = "{name*}"
"""The last segment of patterns that name a stream. To such a route ``Right.READ_LINK`` means what
the stream's namespace says of reading."""


class Route(NamedTuple, Generic[S]):
    """One row of the table; ``handle`` works with services of type ``S``."""

    pattern: str
    method: str
    right: Right
    handle: Callable[[Exchange, S], Awaitable[None]]


class BoundRoute(NamedTuple):
    """One row whose handler has its services."""

    pattern: str
    method: str
    right: Right
    handle: Handler


def bind(routes: Iterable[Route[S]], services: S) -> list[BoundRoute]:
    """Give the handlers of ``routes`` the services that they work with."""
    return [
        BoundRoute(route.pattern, route.method, route.right, partial(_call, route.handle, services))
        for route in routes
    ]


def _call(
    handle: Callable[[Exchange, S], Awaitable[None]], services: S, exchange: Exchange
) -> Awaitable[None]:
    return handle(exchange, services)


class Endpoint(NamedTuple):
    """What a method of a place needs and does."""

    right: Right
    handle: Handler


@dataclass(slots=True)
class RouteMatch:
    """All rows of one pattern."""

    template: str
    """What the access log calls it."""
    names_stream: bool
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it has, in the table's order."""
        return tuple(self.endpoints)

    def endpoint(self, method: str) -> Endpoint:
        """The row of that method. Raises MethodNotAllowed, which names the others."""
        found = self.endpoints.get(method)
        if found is None:
            raise MethodNotAllowed(self.methods)
        return found


@dataclass(slots=True)
class _Node:
    words: dict[str, _Node] = field(default_factory=dict)
    one: _Node | None = None
    rest: RouteMatch | None = None
    place: RouteMatch | None = None


class RouteTable:
    """The routes of one application."""

    def __init__(self, routes: Iterable[BoundRoute]) -> None:
        """Raises ValueError where two rows have the same pattern and method."""
        self.rows: Final = tuple(routes)
        self._root = _Node()
        for row in self.rows:
            place = _place(self._root, row.pattern)
            if row.method in place.endpoints:
                raise ValueError(f"{row.method} {row.pattern} is in the table twice")
            place.endpoints[row.method] = Endpoint(row.right, row.handle)

    def find(self, path: str) -> RouteMatch:
        """The place of a raw path. Raises NotFound."""
        place = _find(self._root, path.split("/"), 0)
        if place is None:
            raise NotFound("There is nothing at this path; GET / lists what there is.")
        return place


def _place(node: _Node, pattern: str) -> RouteMatch:
    """The place of ``pattern`` in the tree, made if there is none."""
    template = pattern.replace("*}", "}")
    for segment in pattern.split("/"):
        if segment.endswith("*}"):
            node.rest = node.rest or RouteMatch(template, segment == STREAM)
            return node.rest
        if segment.startswith("{"):
            node.one = node.one or _Node()
            node = node.one
        else:
            node = node.words.setdefault(segment, _Node())
    node.place = node.place or RouteMatch(template, names_stream=False)
    return node.place


def _find(node: _Node, segments: Sequence[str], at: int) -> RouteMatch | None:
    if at == len(segments):
        return node.place
    segment = segments[at]
    word = node.words.get(segment)
    found = None if word is None else _find(word, segments, at + 1)
    if found is None and node.one is not None and segment:
        found = _find(node.one, segments, at + 1)
    if found is None and node.rest is not None and (segment or at + 1 < len(segments)):
        return node.rest
    return found
