"""The units in which settings state their limits: bytes and seconds."""

from __future__ import annotations

from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40
DAY: Final = 86400.0
# Beyond this a duration is a slip of the pen, and timers of some platforms overflow.
CENTURY: Final = 36500 * DAY
