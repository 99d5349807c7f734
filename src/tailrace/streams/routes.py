"""The routes of streams: below each root, and the list of them."""

from __future__ import annotations

from typing import Final

from tailrace.contracts import Right
from tailrace.streams import listing, read, write
from tailrace.web.paths import ROOTS
from tailrace.web.routing import STREAM, Route
from tailrace.web.services import Services


def stream_routes(root: str, *, writable: bool = True) -> tuple[Route[Services], ...]:
    """The routes of streams whose names follow ``root``."""
    pattern = f"{root}{STREAM}"
    reading = (
        Route(pattern, "GET", Right.READ_LINK, read.read),
        Route(pattern, "HEAD", Right.READ_LINK, read.describe),
    )
    writing = (
        Route(pattern, "PUT", Right.MANAGE, write.put),
        Route(pattern, "POST", Right.MANAGE, write.post),
        Route(pattern, "DELETE", Right.MANAGE, write.delete),
    )
    return (*reading, *writing) if writable else reading


def _nameless(root: str) -> tuple[Route[Services], ...]:
    """The same methods of ``root`` itself, where the handlers refuse the empty name with 400."""
    return tuple(
        Route(root, route.method, Right.MANAGE, route.handle) for route in stream_routes(root)
    )


ROUTES: Final[tuple[Route[Services], ...]] = (
    Route("/streams", "GET", Right.MANAGE, listing.listing),
    *(route for root in ROOTS for route in (*stream_routes(root), *_nameless(root))),
)


def mounted(*, writable: bool) -> tuple[Route[Services], ...]:
    """The routes of streams alone, right below the base; the base itself lists them."""
    listed = (
        Route("", "GET", Right.MANAGE, listing.listing),
        Route("/", "GET", Right.MANAGE, listing.listing),
    )
    streams = stream_routes("/", writable=writable)
    return (*listed, *streams) if writable else streams
