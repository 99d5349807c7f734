"""The settings of an embedded Tailrace: those of the table that mean something without a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tailrace.config import Loaded, Settings, rows_of
from tailrace.errors import ConfigError
from tailrace.stores import SETTINGS

NAMES: Final = frozenset(
    {
        "commit_interval",
        "cors_origins",
        "durability",
        "erase_within",
        "heartbeat",
        "journal_limit",
        "long_poll_timeout",
        "max_body",
        "max_long_polls",
        "max_producers",
        "max_streams",
        "max_uncommitted",
        "memory_limit",
        "shutdown_timeout",
        "sse_lifetime",
        "viewer_timeout",
        "window",
    }
)
_TABLES: Final[tuple[type[Any], ...]] = (Settings, *SETTINGS)
# Servers that wait at all wait for a few seconds (Hypercorn 3); viewers that take their last
# bytes have gone by then.
_SHUTDOWN_TIMEOUT: Final = 2.0


def read_options(given: Mapping[str, object]) -> Loaded:
    """Return settings from keyword arguments, spelled as in a configuration file.

    Raises TypeError for a name that is none of NAMES, ConfigError for a value out of range.
    """
    for name in given:
        if name not in NAMES:
            raise TypeError(f"Streams has no option {name!r}; there are {', '.join(sorted(NAMES))}")
    values = {table: _values(table, given) for table in _TABLES}
    values[Settings].setdefault("shutdown_timeout", _SHUTDOWN_TIMEOUT)
    tables = {table: table(**values[table]) for table in _TABLES}
    return Loaded(tables, arrays={}, places={}, warnings=[])


def _values(table: type[Any], given: Mapping[str, object]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for row in rows_of(table):
        if row.key not in given:
            continue
        value = given[row.key]
        try:
            values[row.key] = row.kind.parse(list(value) if isinstance(value, tuple) else value)
        except ValueError as wanted:
            raise ConfigError(f"{row.key} must be {wanted}; it is {value!r}.") from None
    return values
