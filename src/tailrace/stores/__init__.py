"""The stores, and the one table that knows them by the scheme of their URLs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tailrace.contracts import Store
from tailrace.errors import ConfigError
from tailrace.stores.memory import DEFAULT_LIMIT, MemoryStore
from tailrace.stores.sqlite.store import SqliteStore
from tailrace.stores.sqlite.writer import Durability

__all__ = ["SCHEMES", "MemoryStore", "SqliteStore", "StoreOptions", "capacity", "open_url"]


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What can be set besides the URL; a store ignores what it has no use for."""

    durability: Durability = "full"
    """SQLite: what an acknowledged change survives, a power cut or only this process's death."""
    memory_limit: int = DEFAULT_LIMIT
    """Memory: bytes it may take."""
    erase_within: float = 5.0
    """SQLite: seconds from a delete until its bytes are gone from the files."""
    commit_interval: float = 0.020
    """SQLite: seconds that a change waits at most for others to share its commit."""
    max_uncommitted: int = 16 * 1024 * 1024
    """SQLite: bytes that may wait to be committed."""
    journal_limit: int = 32 * 1024 * 1024
    """SQLite: bytes of events that may be in the journal only."""


Factory = Callable[[str, StoreOptions], Store]


def _memory(rest: str, options: StoreOptions) -> Store:
    if rest:
        raise ConfigError(f"The store memory: takes nothing after the colon, not {rest!r}.")
    return MemoryStore(options.memory_limit)


def _sqlite(rest: str, options: StoreOptions) -> Store:
    if not rest:
        raise ConfigError("The store sqlite: needs the path of a file after the colon.")
    return SqliteStore(
        rest,
        durability=options.durability,
        commit_interval=options.commit_interval,
        max_uncommitted=options.max_uncommitted,
        journal_limit=options.journal_limit,
        erase_within=options.erase_within,
    )


SCHEMES: Final[Mapping[str, Factory]] = MappingProxyType({"memory": _memory, "sqlite": _sqlite})


def capacity(url: str, options: StoreOptions) -> int | None:
    """Bytes that the store of that URL takes at most; None: as many as its medium."""
    return options.memory_limit if url.partition(":")[0] == "memory" else None


def open_url(url: str, options: StoreOptions | None = None) -> Store:
    """The store that a URL names (``memory:``, ``sqlite:PATH``), not opened yet.

    Raises ConfigError for a scheme that is not in the table.
    """
    scheme, colon, rest = url.partition(":")
    factory = SCHEMES.get(scheme)
    if not colon or factory is None:
        known = ", ".join(f"{name}:" for name in SCHEMES)
        raise ConfigError(f"The store {url!r} is of no known kind; the known ones are {known}")
    return factory(rest, options or StoreOptions())
