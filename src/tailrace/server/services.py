"""What handlers work with, put together once at start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tailrace.contracts import Store, Upstream
from tailrace.log.catalogue import Catalogue
from tailrace.sources.relay import RelayLimits

CHAT = "chat/"
"""Where relayed answers live. Ours: nobody else makes or appends to streams there."""


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
