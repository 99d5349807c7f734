"""What handlers work with, put together once at start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tailrace.chat.relay.relay_request import RelayLimits
from tailrace.contracts import Store, Upstreams
from tailrace.log.catalogue import Catalogue
from tailrace.web.body_budget import Bodies
from tailrace.web.concurrency_limit import Allowance
from tailrace.web.turns import Turns

if TYPE_CHECKING:  # they work with the services
    from tailrace.chat.answers import Recorder
    from tailrace.chat.assembled import AssemblyRoom
    from tailrace.chat.idempotency import Keys
    from tailrace.console.overview import Overview

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
    upstreams: Upstreams
    default_model: Callable[[], Awaitable[str]]
    """The model that ``/stream`` asks when the client names none. May ask the upstream."""
    relay_limits: RelayLimits
    recorder: Recorder
    keys: Keys
    disconnect: str
    """What leaving means where neither request nor upstream say; empty: nobody says."""
    keep: float
    """Seconds that ``keep`` stands for."""
    first_heartbeat: float
    """Seconds until a client that waits for an answer's beginning is sent something."""
    continues: bool
    """Whether an answer that breaks off is gone on with, where a request says nothing of it."""
    ask_usage: bool
    """Whether upstreams are asked for usage where clients say nothing of it."""
    max_body: int
    """Bytes of a request's body."""
    bodies: Bodies
    """Those that are held."""
    turns: Turns
    """For work that takes long."""
    max_upload: int
    """Bytes of a body that is passed on as it is read; 0: as many as the upstream takes."""
    rules: StreamRules
    """What the stream protocol is bounded by."""
    max_messages: int
    """In one append."""
    long_polls: Allowance
    """Those that may wait at a time."""
    token: str = field(repr=False)
    """What clients must show; empty: nothing."""
    assembling: AssemblyRoom
    """Where answers that are read whole are held."""
    overview: Overview
    """Of the server and its streams, for the pages that show it."""
