"""When streams expire, known more exactly than the store was told. No I/O.

Every read and write of a stream with a TTL moves its deadline. Writing that down each time would
make every read a write, so the store hears of it after a tenth of the TTL has gone by, and what
is later than that stands here. A restart forgets it; a restart counts as a use instead.
"""

from __future__ import annotations

from typing import Final

from tailrace.model import StreamInfo

_MS: Final = 1000
# The store's deadline is behind by at most ttl / _STEPS: ten small writes per TTL at most.
_STEPS: Final = 10


def first_deadline(ttl: int | None, expires_at: int | None, now: int) -> int | None:
    """The deadline of a stream made at ``now``; all but ``ttl`` (seconds) in milliseconds."""
    return expires_at if ttl is None else now + ttl * _MS


class Deadlines:
    """Deadlines of streams with a TTL that were used since the store was told."""

    def __init__(self, started: int) -> None:
        self._started = started
        self._later: dict[str, int] = {}

    def of(self, info: StreamInfo) -> int | None:
        """When the stream expires, in milliseconds since the epoch."""
        if info.deadline is None or info.ttl is None:
            return info.deadline
        told = max(info.deadline, self._started + info.ttl * _MS)
        return max(told, self._later.get(info.generation, 0))

    def touch(self, info: StreamInfo, now: int) -> int | None:
        """The stream is used: the deadline to tell the store of, or None where that can wait."""
        if info.ttl is None or info.deadline is None:
            return None
        deadline = now + info.ttl * _MS
        if deadline - info.deadline >= info.ttl * _MS // _STEPS:
            self._later.pop(info.generation, None)
            return deadline
        self._later[info.generation] = deadline
        return None

    def forget(self, generation: str) -> None:
        """The stream is gone, or the store was told."""
        self._later.pop(generation, None)
