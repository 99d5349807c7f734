"""The stores, and the one table that knows them by the scheme of their URLs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tailrace.config import Loaded
from tailrace.contracts import Store
from tailrace.errors import ConfigError
from tailrace.stores.memory import MemoryStore
from tailrace.stores.memory_settings import MemorySettings
from tailrace.stores.sqlite.settings import SqliteSettings
from tailrace.stores.sqlite.store import SqliteStore

__all__ = ["SCHEMES", "SETTINGS", "MemoryStore", "SqliteStore", "capacity", "open_url"]


class Scheme(NamedTuple):
    """One line of the table of stores."""

    settings: type[Any]
    """Its table of rows."""
    make: Callable[[str, Any], Store]
    """From what follows the colon and the settings. Raises ConfigError."""
    capacity: Callable[[Any], int | None]
    """Bytes that it takes at most, as the settings say; None: as many as its medium."""


def _memory(rest: str, settings: MemorySettings) -> Store:
    if rest:
        raise ConfigError(f"The store memory: takes nothing after the colon, not {rest!r}.")
    return MemoryStore(settings.memory_limit)


def _memory_capacity(settings: MemorySettings) -> int:
    return settings.memory_limit


def _sqlite(rest: str, settings: SqliteSettings) -> Store:
    if not rest:
        raise ConfigError("The store sqlite: needs the path of a file after the colon.")
    return SqliteStore(
        rest,
        durability=settings.durability,
        commit_interval=settings.commit_interval,
        max_uncommitted=settings.max_uncommitted,
        journal_limit=settings.journal_limit,
        erase_within=settings.erase_within,
    )


def _no_capacity(settings: object) -> None:  # noqa: ARG001 - the table's
    return None


SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "memory": Scheme(MemorySettings, _memory, _memory_capacity),
        "sqlite": Scheme(SqliteSettings, _sqlite, _no_capacity),
    }
)
SETTINGS: Final = tuple(scheme.settings for scheme in SCHEMES.values())
"""The tables of rows of all stores."""


def capacity(url: str, loaded: Loaded) -> int | None:
    """Return how many bytes the store of that URL takes at most; None: as many as its medium."""
    scheme = SCHEMES.get(url.partition(":")[0])
    return scheme.capacity(loaded.of(scheme.settings)) if scheme is not None else None


def open_url(url: str, loaded: Loaded) -> Store:
    """Return the store that a URL names (``memory:``, ``sqlite:PATH``), not opened yet.

    ``loaded`` has its settings. Raises ConfigError for a scheme that is not in the table.
    """
    name, colon, rest = url.partition(":")
    scheme = SCHEMES.get(name)
    if not colon or scheme is None:
        known = ", ".join(f"{known}:" for known in SCHEMES)
        raise ConfigError(f"The store {url!r} is of no known kind; the known ones are {known}")
    return scheme.make(rest, loaded.of(scheme.settings))
