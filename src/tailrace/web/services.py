"""What every handler works with, put together once at start. A use adds services of its own."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.contracts import Namespaces, Store
from tailrace.log.catalogue import Catalogue
from tailrace.web.body_budget import Bodies
from tailrace.web.concurrency_limit import Allowance
from tailrace.web.turns import Turns


@dataclass(frozen=True, slots=True)
class StreamRules:
    """Bounds of the stream protocol. Durations in seconds."""

    viewer_timeout: float
    """After which a client that takes nothing is let go."""
    long_poll_timeout: float
    sse_lifetime: float
    """0: an event stream lasts as long as its stream."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the core gives to every handler."""

    catalogue: Catalogue
    store: Store
    namespaces: Namespaces
    """Who may read and write which streams."""
    max_body: int
    """Bytes of a request's body."""
    bodies: Bodies
    """Those that are held."""
    turns: Turns
    """For work that takes long."""
    rules: StreamRules
    """What the stream protocol is bounded by."""
    max_messages: int
    """In one append."""
    long_polls: Allowance
    """Those that may wait at a time."""
