"""What may be configured: the rows of the core, and those that each use brings.

A *table* is a dataclass whose fields are rows (`tailrace.config.row`). An *array* is an array of
tables in the TOML file, such as ``[[upstreams]]``, with a parser of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from tailrace.config.row import ROW, Row
from tailrace.config.settings import Settings

ArrayParser: TypeAlias = Callable[[object, str], object]
"""From what TOML has for an array, and the file's name, to its value. Raises ConfigError."""


@dataclass(frozen=True, slots=True)
class Schema:
    """All that one server may be configured with."""

    tables: tuple[type[Any], ...] = (Settings,)
    arrays: Mapping[str, ArrayParser] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError where two tables have a row of the same key."""
        keys = [row.key for row in self.rows()]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice or twice.union(keys) & self.arrays.keys():
            raise ValueError(f"settings that are there twice: {', '.join(sorted(twice))}")

    def rows(self) -> tuple[Row, ...]:
        """The rows of all tables, in the order in which they are written."""
        return tuple(row for table in self.tables for row in rows_of(table))


def rows_of(table: type[Any]) -> tuple[Row, ...]:
    """The rows of one table."""
    return tuple(replace(item.metadata[ROW], key=item.name) for item in fields(table))
