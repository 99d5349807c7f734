"""Which events of a text stream belong together: those between which a character was cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from tailrace.model import DATA, Event
from tailrace.wire.characters import is_boundary, unfinished

# What can be left of a character, and more than enough to see whether one is.
_TAIL = 4


def whole_text(events: Sequence[Event], *, fewest: bool, last: bool) -> int:
    """As ``View.whole`` wants it, for UTF-8 text in ``data`` events.

    Other events, and empty ones, end a character that was cut: it will not be completed.
    """
    if fewest:
        return _first(events, last=last)
    if last or not _is_cut(events, len(events), b""):
        return len(events)
    for count in range(len(events) - 1, 0, -1):
        if not _is_cut(events, count, events[count].data):
            return count
    return 0


def _first(events: Sequence[Event], *, last: bool) -> int:
    for count in range(1, len(events)):
        if not _is_cut(events, count, events[count].data):
            return count
    return len(events) if last or not _is_cut(events, len(events), b"") else 0


def _is_cut(events: Sequence[Event], count: int, following: bytes) -> bool:
    """Whether a character lies across the end of the first ``count``; before nothing: may lie."""
    if events[count - 1].type != DATA:
        return False
    if count < len(events) and (events[count].type != DATA or not following):
        return False
    tail = b""
    for event in reversed(events[:count]):
        if event.type != DATA or len(tail) >= _TAIL:
            break
        tail = event.data[-_TAIL:] + tail
    if not tail:
        return False
    return bool(unfinished(tail)) if not following else not is_boundary(tail, following)


def joined_text(events: Sequence[Event]) -> list[Event]:
    """One event for each such group, with the number and the time of its last."""
    joined: list[Event] = []
    group: list[Event] = []
    for event, following in zip_longest(events, events[1:]):
        group.append(event)
        if following and _is_cut([*group, following], len(group), following.data):
            continue
        data = b"".join(part.data for part in group)
        joined.append(event._replace(data=data) if len(group) > 1 else event)
        group = []
    return joined
