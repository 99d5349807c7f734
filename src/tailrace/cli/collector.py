"""Python's cyclic garbage collector, set for a server of many small, long-lived objects.

Events live in tuples and lists, which the collector looks at and never frees: reference counts
do that. With its defaults it looked at the new ones after every 700, and now and then at all,
which showed as pauses of 10 ms in the latency of 300 streams (docs/performance.md).
"""

from __future__ import annotations

import gc
from typing import Final

# New containers before a look at the new ones; then how many of those before a look at what
# survived them, and before one at all. The last is rare and not never: cycles of dead tasks and
# tracebacks have to go some day.
_THRESHOLDS: Final = (10_000, 20, 50)


def settle() -> None:
    """Look no more at what was loaded for starting, and at the rest as rarely as it needs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
