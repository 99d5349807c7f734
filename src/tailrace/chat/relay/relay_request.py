"""What is asked for, how the one who asks wants it treated, and within which limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from tailrace.log.attendance import DisconnectPolicy
from tailrace.wire.llm.apis import Api
from tailrace.wire.llm.continuation import Continuing

Continued: TypeAlias = Callable[[], Continuing]
"""Begins to make the request for the rest of a broken answer."""


@dataclass(frozen=True)
class Order:
    """What is asked for, and how the one who asks wants it treated."""

    api: Api
    policy: DisconnectPolicy
    model: str = ""
    owner: bytes = field(default=b"", repr=False)
    """A digest of the credentials that it is asked for with: by its id nobody else finds it."""
    hide_usage: bool = False
    """Usage is reported because we asked for it: it is kept, and not shown."""
    input_tokens: int = 0
    """Roughly, for when the upstream does not say."""
    continued: Continued | None = None
    """How to ask for the rest of an answer that broke off; None: it is not asked for."""


@dataclass(frozen=True)
class RelayLimits:
    """How long and how much."""

    max_event: int
    """Bytes in one event of the upstream."""
    stall: float
    """Seconds without progress after which a viewer does not count as watching."""
    content: float
    """Seconds without an event of the answer, whatever else the upstream sends."""
