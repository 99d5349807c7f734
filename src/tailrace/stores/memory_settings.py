"""The settings of the memory store: rows, as `tailrace.config.settings` describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tailrace.config import kinds
from tailrace.config.row import row

_MIB: Final = 1 << 20
_TIB: Final = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """What can be set of ``memory:``."""

    memory_limit: int = row(
        256 * _MIB,
        kinds.size(_MIB, _TIB),
        "Limits",
        "Bytes of events that `--store memory:` holds in all.",
    )
