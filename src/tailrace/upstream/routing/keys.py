"""Several keys of one upstream, used in turn. Sans-I/O.

A key that was refused rests: others are used instead while there are any. Where all rest, the one
whose rest ends first is used all the same: a limit may be another model's, and whether a key is
good again only its upstream knows.
"""

from __future__ import annotations

from typing import Final

# After 401 and 403. A key that was revoked stays so; one that may not use one model may use
# others, so this is no longer than a person needs to notice.
REFUSED: Final = 60.0


class KeyRing:
    """``count`` keys (at least 1) by their number. Times are as for a breaker."""

    def __init__(self, count: int) -> None:
        self._rests_until = [0.0] * count
        self._next = 0

    def pick(self, now: float) -> int:
        """The next one in turn."""
        count = len(self._rests_until)
        turn = [(self._next + step) % count for step in range(count)]
        awake = (key for key in turn if self._rests_until[key] <= now)
        key = next(awake, None)
        if key is None:
            key = min(turn, key=lambda each: self._rests_until[each])
        self._next = (key + 1) % count
        return key

    def rest(self, key: int, until: float) -> None:
        """Use others until then."""
        self._rests_until[key] = max(self._rests_until[key], until)

    def awake_at(self) -> float:
        """When there is one that does not rest; in the past where there is one now."""
        return min(self._rests_until)
