"""What becomes of an answer whose relay died with its process."""

from __future__ import annotations

from tailrace.log.lifecycle import interrupted
from tailrace.model import Ending, StreamInfo


def recover(info: StreamInfo, now: int) -> Ending:
    """Return the ending ``interrupted``: no upstream goes on with an answer that it began.

    ``now``: milliseconds since the epoch.
    """
    return interrupted(info, now, "The server stopped while the answer was running.")
