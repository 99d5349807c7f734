"""Whether anybody still watches an answer, decided from values and a clock.

A viewer is a cursor. One that waits for news watches; one whose sink has taken nothing for
``stall`` seconds does not count. An answer that nobody has watched for ``keep`` seconds is to
be stopped: leaving is not stopping, but nobody pays for an answer that nobody reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def unwatched_at(
    blocked: Iterable[float | None], left_at: float, *, keep: float, stall: float
) -> float:
    """The time at which the answer will have gone unwatched for long enough.

    ``blocked``: for each viewer, since when its sink takes nothing, or None where it does.
    ``left_at``: when the last viewer left, or when the answer began if none ever came.
    All in seconds of one clock; infinity while somebody watches.
    """
    last = left_at
    for since in blocked:
        if since is None:
            return math.inf
        last = max(last, since + stall)
    return last + keep
