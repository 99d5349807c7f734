"""The settings of the SQLite store: rows, as `tailrace.config.settings` describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tailrace.config import kinds
from tailrace.config.row import row
from tailrace.config.units import DAY, KIB, MIB, TIB


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSettings:
    """What can be set of ``sqlite:PATH``."""

    durability: Literal["full", "process"] = row(
        "full",
        kinds.choice("full", "process"),
        "Store",
        "What an acknowledged event survives: `full` is loss of power, `process` only the end of "
        "this process, at less cost to the disk.",
    )
    commit_interval: float = row(
        0.02,
        kinds.seconds(0, 10),
        "Store",
        "How long events may wait to be committed together: many share the cost of one commit, "
        "and what was shown is durable this much later.",
    )
    max_uncommitted: int = row(
        16 * MIB,
        kinds.size(64 * KIB, TIB),
        "Store",
        "Bytes that may wait to be committed; beyond, answers pause and appends are refused.",
    )
    journal_limit: int = row(
        32 * MIB,
        kinds.size(MIB, TIB),
        "Store",
        "Size of the journal at which open streams move into segments; it bounds recovery.",
    )
    erase_within: float = row(
        5.0,
        kinds.seconds(0, DAY),
        "Store",
        "Deleted bytes are overwritten in the store's file within this time; prompts are private.",
    )


@dataclass(frozen=True)
class Pace:
    """How often and how much."""

    commit_interval: float
    """Seconds from the first change to its commit, when nobody waits for it."""
    journal_limit: int
    """Bytes of events that may be in the journal only: memory, and work to recover."""
    erase_within: float
    """Seconds from a delete until its bytes are gone from the files."""
