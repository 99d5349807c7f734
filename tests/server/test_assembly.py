"""What settings come to."""

from __future__ import annotations

import pytest

from tailrace.config import Settings
from tailrace.server.assembly import retained

GIB = 1 << 30
MIB = 1 << 20


@pytest.mark.parametrize(
    ("store", "size", "expected"),
    [
        ("", GIB, GIB),
        ("sqlite:x.db", GIB, GIB),
        ("memory:", GIB, 192 * MIB),
        ("memory:", 10 * MIB, 10 * MIB),
    ],
)
def test_ended_answers_go_before_memory_is_full(store: str, size: int, expected: int) -> None:
    """They did not: at its limit the store ended what was running."""
    settings = Settings(store=store, retention_size=size, memory_limit=256 * MIB)
    assert retained(settings) == expected
