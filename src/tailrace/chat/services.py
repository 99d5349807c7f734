"""What the handlers of chat work with, beside what every handler has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tailrace.chat.answers import Recorder
from tailrace.chat.assembly_room import AssemblyRoom
from tailrace.chat.idempotency import Keys
from tailrace.chat.namespace import PREFIX
from tailrace.chat.relay.relay import Relay
from tailrace.chat.relay.relay_request import Order, RelayLimits
from tailrace.contracts import Upstreams
from tailrace.log.catalogue import Catalogue
from tailrace.web.services import Services


@dataclass(frozen=True, slots=True)
class ChatServices:
    """Injected into every handler of chat."""

    core: Services
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
    max_upload: int
    """Bytes of a body that is passed on as it is read; 0: as many as the upstream takes."""

    assembling: AssemblyRoom
    """Where answers that are read whole are held."""

    @property
    def catalogue(self) -> Catalogue:
        """The streams."""
        return self.core.catalogue

    def make_answer(self, order: Order) -> Relay:
        """Make a stream for an answer, with a relay that has not asked yet."""
        stream = self.catalogue.create_secret(PREFIX, order.api.content_type, Relay.kind)
        return Relay(stream, order, self.relay_limits, self.upstreams.redact, self.recorder)

    @property
    def max_body(self) -> int:
        """Bytes of a request's body."""
        return self.core.max_body
