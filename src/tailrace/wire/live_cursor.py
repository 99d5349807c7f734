"""``Stream-Cursor``: what keeps a cache from serving one empty answer for ever. Sans-I/O.

Clients echo the cursor in their next request, so that those who wait for the same news ask for
the same URL, and a cache joins them; and since it moves with time, no two rounds are the same
URL (the protocol, 10.1).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

# Both as the protocol suggests.
INTERVAL: Final = 20
EPOCH: Final = int(datetime(2024, 10, 9, tzinfo=UTC).timestamp())
# Seconds that an echoed cursor of the current interval is moved on by, at random.
MAX_JITTER: Final = 3600
# A cursor is a count of intervals: twelve digits are further than any clock.
_MAX_DIGITS: Final = 12


def next_cursor(now: float, given: str | None, jitter: int) -> str:
    """The cursor for an answer at ``now`` to a client that sent ``given``.

    ``now`` is in seconds since the epoch, ``jitter`` from 1 to MAX_JITTER. Never goes back.
    """
    current = max(0, int(now) - EPOCH) // INTERVAL
    if given is None or not given.isascii() or not given.isdigit() or len(given) > _MAX_DIGITS:
        return str(current)
    if int(given) < current:
        return str(current)
    return str(int(given) + max(1, jitter // INTERVAL))
