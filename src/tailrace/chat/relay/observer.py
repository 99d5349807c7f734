"""Who hears of an answer's life, from the relay that gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tailrace.chat.relay.relay import Relay


class Listener(Protocol):
    """Keeps what becomes known of answers."""

    def named(self, relay: Relay, identity: str) -> None:
        """The upstream calls its answer by this id."""
        ...

    def ended(self, relay: Relay) -> None:
        """The stream has its ending, ``relay.facts`` are complete."""
        ...
