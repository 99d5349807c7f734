"""The settings of the memory store: rows, as `tailrace.config.settings` describes them."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.config import kinds
from tailrace.config.row import row
from tailrace.config.units import MIB, TIB


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """What can be set of ``memory:``."""

    memory_limit: int = row(
        256 * MIB,
        kinds.size(MIB, TIB),
        "Limits",
        "Bytes of events that `--store memory:` holds in all.",
    )
