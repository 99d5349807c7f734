"""What handlers work with, put together once at start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tailrace.contracts import Store, Upstream
from tailrace.log.catalogue import Catalogue
from tailrace.server.allowance import Allowance
from tailrace.sources.relay import RelayLimits

CHAT = "chat/"
"""Where relayed answers live. Ours: nobody else makes or appends to streams there."""


@dataclass(frozen=True, slots=True)
class StreamRules:
    """Bounds of the stream protocol. Durations in seconds."""

    viewer_timeout: float
    """After which a client that takes nothing is let go."""
    long_poll_timeout: float
    sse_lifetime: float
    """0: an event stream lasts as long as its stream."""
    shared_caches: bool
    """Whether caches that others use, too, may keep what is read."""


@dataclass(frozen=True, slots=True)
class Services:
    """Injected into every handler."""

    catalogue: Catalogue
    store: Store
    upstream: Upstream
    default_model: Callable[[], Awaitable[str]]
    """The model that ``/stream`` asks when the client names none. May ask the upstream."""
    relay_limits: RelayLimits
    max_body: int
    """Bytes of a request's body."""
    rules: StreamRules
    """What the stream protocol is bounded by."""
    long_polls: Allowance
    """Those that may wait at a time."""
