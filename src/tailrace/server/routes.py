"""The routes of a whole server: its own, the streams', the page's, and those of the uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tailrace.console import routes as page_routes
from tailrace.console.services import ConsoleServices
from tailrace.contracts import Right
from tailrace.server import index
from tailrace.streams import routes as stream_routes
from tailrace.web.routing import BoundRoute, Route, RouteTable, bind
from tailrace.web.services import Services

ROUTES: Final[tuple[Route[Services], ...]] = (
    Route("/", "GET", Right.PUBLIC, index.index),
    Route("/", "HEAD", Right.PUBLIC, index.index),
    Route("/health", "GET", Right.PUBLIC, index.health),
    Route("/health", "HEAD", Right.PUBLIC, index.health),
)


def server_table(
    services: Services, console: ConsoleServices, of_uses: Iterable[Sequence[BoundRoute]]
) -> RouteTable:
    """Put all rows into one table. Raises ValueError where two rows are the same."""
    return RouteTable(
        [
            *bind(ROUTES, services),
            *bind(stream_routes.ROUTES, services),
            *bind(page_routes.ROUTES, console),
            *(route for routes in of_uses for route in routes),
        ]
    )
