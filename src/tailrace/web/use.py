"""The contract of a use: what a room such as ``chat`` brings to the server.

    brings         in a file of its own   for
    -------------  ---------------------  ----------------------------------------------------
    ``namespace``  namespace.py           its prefix; who reads, who writes, what caches may do
    ``recover``    recover.py             what becomes of its fed streams after a restart
    ``settings``   settings.py            a table of rows, and arrays of tables in the file
    ``check``      …                      what is wrong with the configuration as a whole
    ``start``      use.py                 opens what it needs; gives its routes

``server/uses.py`` has one line for each use. The core knows uses by this contract alone.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from tailrace.config import ArrayParser, Loaded
from tailrace.contracts import Namespace, Observer
from tailrace.log.lifecycle import Recover
from tailrace.log.retention import Bounds
from tailrace.web.routing import BoundRoute
from tailrace.web.services import Services

Warn: TypeAlias = Callable[[str], None]
"""Says a line to the operator."""
Progress: TypeAlias = Callable[[float], None]
"""Called with the seconds that something has taken so far, now and then."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a use starts with."""

    loaded: Loaded
    """The configuration; ``loaded.of(table)`` has the use's own settings."""
    environ: Mapping[str, str]
    services: Services
    observer: Observer
    resources: AsyncExitStack
    """Closes what the use opened, last opened first."""
    warn: Warn
    progress: Callable[[str], Progress]
    """Says to the operator what it is that takes long, and returns what keeps telling."""


class Running(Protocol):
    """A use that has been started."""

    @property
    def routes(self) -> Sequence[BoundRoute]:
        """Its rows of the route table."""
        ...

    def summary(self) -> Sequence[tuple[str, str]]:
        """What the operator reads of it once the server listens: a word and what is behind it."""
        ...

    def reload(self, loaded: Loaded) -> Callable[[], str]:
        """Check what can be changed while it runs, change nothing, and return what changes it.

        That raises nothing, and returns in words what was done, or nothing. It is not called
        where something else of the configuration is wrong. Raises ConfigError.
        """
        ...

    async def stop(self) -> None:
        """End what it does by itself. The last request has ended, the store is still open."""
        ...


def _nothing_wrong(loaded: Loaded) -> Sequence[str]:  # noqa: ARG001 - the contract's
    return ()


@dataclass(frozen=True, slots=True)
class Use:
    """One line of ``server/uses.py``."""

    namespace: Namespace
    start: Callable[[Start], Coroutine[Any, Any, Running]]
    """Raises StartupError."""
    recover: Mapping[str, Recover] = field(default_factory=dict)
    """By kind of source. A kind that is in no use's table ends ``interrupted``."""
    settings: tuple[type[Any], ...] = ()
    """Its tables of rows."""
    arrays: Mapping[str, ArrayParser] = field(default_factory=dict)
    """Its arrays of tables in the configuration file."""
    reloads: frozenset[str] = frozenset()
    """The settings that ``Running.reload`` applies."""
    retention: Callable[[Loaded], Bounds] | None = None
    """How long its closed streams are kept, and how many bytes of them; None: for ever."""
    check: Callable[[Loaded], Sequence[str]] = _nothing_wrong
    """Warnings about the configuration. Raises ConfigError for what cannot be."""
