"""What a store takes: text that UTF-8 can say, and numbers of 64 bits.

Checked before a change is queued, so that the mistake of one writer is that writer's error and not
a commit that fails for everybody. JSON can spell half of a surrogate pair (``"\\ud800"``), and
Python's text can hold it; no file, page or response can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tailrace.contracts import Alias, Append, Change, Create, Delete, Note, Renew, Trim
from tailrace.errors import BadRequest
from tailrace.model import DATA, Ending, Event, Offset, Producer, StreamInfo

_BITS: Final = 63


def check(change: Change) -> None:
    """Raise BadRequest for a change that no store could keep."""
    if isinstance(change, Append):
        check_append(change)
    elif isinstance(change, Create):
        _check_values(_values_of(change.info))
        _check_values(_marks(change.info.ancestry))
        check_events(change.events)
        _check_values(_ends(change.ending))
    else:
        _check_values(_named_in(change))


def check_append(change: Append) -> None:
    """As ``check``."""
    check_events(change.events)
    _check_values([change.generation, change.writer_seq])
    _check_values(_ends(change.ending))
    _check_values(_of(change.producer))


def check_events(events: Sequence[Event]) -> None:
    """As ``check``, of their types."""
    for event in events:
        if event.type is not DATA:
            _check_text(event.type)


def _check_values(values: Iterable[str | int | None]) -> None:
    for value in values:
        if isinstance(value, str):
            _check_text(value)
        elif value is not None and not -(1 << _BITS) <= value < 1 << _BITS:
            raise BadRequest("A number is too large to be kept: it must fit into 64 bits.")


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest(
            "Text that is to be kept must be UTF-8; this holds half of a surrogate pair."
        ) from None


def _values_of(info: StreamInfo) -> list[str | int | None]:
    return [
        info.name,
        info.generation,
        info.content_type,
        info.source,
        info.owner,
        info.created,
        info.last_seq,
        info.size,
        info.ttl,
        info.expires_at,
        info.deadline,
        info.forked_from,
        info.sub_offset,
    ]


def _marks(ancestry: Sequence[Offset]) -> list[str | int | None]:
    return [value for offset in ancestry for value in (offset.generation, offset.seq)]


def _ends(ending: Ending | None) -> list[str | int | None]:
    return [] if ending is None else [ending.reason, ending.seq, ending.time]


def _of(producer: Producer | None) -> list[str | int | None]:
    return [] if producer is None else [producer.id, producer.epoch, producer.seq]


def _named_in(change: Delete | Renew | Trim | Alias | Note) -> list[str | int | None]:
    if isinstance(change, Renew):
        return [change.generation, change.deadline]
    if isinstance(change, Trim):
        return [change.generation, change.seq]
    return [change.generation, change.name if isinstance(change, Alias) else None]
