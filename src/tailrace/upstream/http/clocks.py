"""The four clocks of an exchange, and how one of them ends a wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Literal

from tailrace.errors import ConfigError, UpstreamTimeout
from tailrace.patience import timeout_at


@dataclass(frozen=True, slots=True)
class Clocks:
    """Limits in seconds, all above 0. Raises ConfigError otherwise."""

    connect: float = 10.0
    """Name lookup, TCP, a proxy's tunnel and TLS: three lost SYN packets fit (1 + 2 + 4 s)."""
    first_byte: float = 600.0
    """Request written whole to response head: a reasoning model may think before it sends one."""
    silence: float = 300.0
    """Between two pieces of the body, while we read: a model may send the head, then think.
    While a body is uploaded: until the upstream takes more of it."""
    total: float = 3600.0
    """The whole exchange: longer than any answer that somebody still waits for."""

    def __post_init__(self) -> None:
        for clock in fields(self):
            if not getattr(self, clock.name) > 0:
                raise ConfigError(f"The upstream clock {clock.name} must be above 0 seconds.")

    @asynccontextmanager
    async def limit(
        self, clock: Literal["connect", "first_byte", "total"], ends_at: float, peer: str
    ) -> AsyncIterator[None]:
        """Run the block until this clock runs out, or the total one at ``ends_at`` (loop time).

        Raises UpstreamTimeout, which names the clock that did.
        """
        due = asyncio.get_running_loop().time() + getattr(self, clock)
        name = clock if due <= ends_at else "total"
        try:
            async with timeout_at(min(due, ends_at)):
                yield
        except TimeoutError:
            raise ran_out(name, getattr(self, name), peer) from None


def ran_out(clock: str, seconds: float, peer: str) -> UpstreamTimeout:
    """The error for a clock that ran out."""
    return UpstreamTimeout(f"{peer} took too long: the {clock} clock of {seconds:g} s ran out.")
