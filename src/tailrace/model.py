"""The values everything else is made of: Offset, Event, Ending, StreamInfo.

Frozen, compared by value, free of I/O. This module imports nothing of ours but the
error tree's base, so that every other module may import it.

How places are numbered
-----------------------
Events of a stream are numbered 1, 2, 3, … (`seq`). An event's offset is
``<generation>_<seq>`` and means *the place just after that event*: it is the store's key,
the SSE ``id:`` and what a reader gives back to read on. Seq 0 is the place before the first
event. The ending is a record of the same log, so it has a seq of its own, greater than
that of the last event: a reader whose place is at or past ``ending.seq`` has seen how the
stream ended, any other reader has not.

    seq   0        1        2        3 (ending.seq)
          |--ev 1--|--ev 2--|--ending--|

A fork begins with events of other streams, its ancestors, which keep their offsets; its own are
numbered on from there. ``StreamInfo.ancestry`` says where each ancestor's part ends:

    ancestry = (a…_2, b…_3)       a…_1   a…_2   b…_3   c…_4   c…_5
                                  |----- of a -|- of b -|- its own -
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

# Crockford's base 32 in lower case: sortable as ASCII, no look-alikes, safe in URLs and headers.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
# 48 bits of milliseconds (until the year 10889) and 80 random bits, 5 bits a character.
_TIME_BITS: Final = 48
RANDOM_BITS: Final = 80
GENERATION_LENGTH: Final = 26
# 16 decimal digits: a million events a second for three centuries.
SEQ_DIGITS: Final = 16
_OFFSET: Final = re.compile(
    rf"([{_ALPHABET}]{{{GENERATION_LENGTH}}})_([0-9]{{{SEQ_DIGITS}}})", re.ASCII
)

DATA: Final = "data"
"""The type of ordinary events; every other type is a remark of ours (error, gap, …)."""
ERROR: Final = "error"
"""The type of the event that stands where something the producer sent could not be kept."""


@dataclass(frozen=True, slots=True, order=True)
class Offset:
    """A place in one making of one stream: just after event ``seq`` (0: before the first)."""

    generation: str
    seq: int

    def __str__(self) -> str:
        return format_offset(self.generation, self.seq)

    @classmethod
    def parse(cls, token: str) -> Offset | None:
        """The offset that ``token`` spells, or None where it spells none."""
        match = _OFFSET.fullmatch(token)
        return None if match is None else cls(match[1], int(match[2]))


def format_offset(generation: str, seq: int) -> str:
    """Spell an offset without making one; fixed width, so that text order is log order."""
    return f"{generation}_{seq:016d}"


def mint_generation(now: int, previous: str, random: int) -> str:
    """A new generation, later than ``previous``, whatever the clock did meanwhile.

    ``now`` is milliseconds since the epoch, ``random`` has RANDOM_BITS random bits. Within
    one millisecond, or when the clock went back, time is taken to be one millisecond after
    the previous generation's, so that the random part stays wholly random.
    """
    earliest = _decode(previous[:GENERATION_LENGTH]) >> RANDOM_BITS if previous else -1
    time = max(now, earliest + 1)
    if time >> _TIME_BITS:
        raise OverflowError("the clock is beyond what a generation can hold")
    return _encode(time << RANDOM_BITS | random)


def _encode(value: int) -> str:
    shifts = range(5 * (GENERATION_LENGTH - 1), -1, -5)
    return "".join(_ALPHABET[value >> shift & 31] for shift in shifts)


def _decode(text: str) -> int:
    value = 0
    for character in text:
        value = value << 5 | _ALPHABET.index(character)
    return value


class Event(NamedTuple):
    """One entry of a stream. A tuple, because millions are made."""

    seq: int
    time: int
    """Milliseconds since the epoch, as the clock stood when it was appended."""
    type: str
    data: bytes


make_event: Final[Callable[[tuple[int, int, str, bytes]], Event]] = partial(tuple.__new__, Event)
"""What ``Event(…)`` calls, without the Python function around it: 0.1 instead of 0.25 µs."""


class EndingKind(StrEnum):
    """The ways a stream can end. ``completed`` is the only one that means *whole*."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    CUT = "cut"
    STALLED = "stalled"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"


class EndingCode(StrEnum):
    """What programs decide by besides the kind of an ending. Its reason is for persons alone."""

    NONE = ""
    """The kind says all that anybody decides by."""
    REPORTED = "reported"
    """The stream's last data have said it already: they are what the source's source reported."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The one terminal record of a stream."""

    kind: EndingKind
    reason: str
    """One sentence for a person; empty where the kind says all. Never holds secrets."""
    seq: int
    """The ending's own number, greater than that of the last event."""
    time: int
    code: EndingCode = EndingCode.NONE

    @property
    def whole(self) -> bool:
        """Whether a reader who has everything up to here has all there was to come."""
        return self.kind is EndingKind.COMPLETED


class Producer(NamedTuple):
    """How far an idempotent producer has come in one stream."""

    id: str
    epoch: int
    seq: int
    """The last batch of that epoch which the stream has."""
    closed: bool = False
    """That batch closed the stream."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known about a stream without reading it."""

    name: str
    generation: str
    content_type: str
    created: int
    """Milliseconds since the epoch."""
    source: str = ""
    """The kind of source that fills it (``relay``), or empty: clients append."""
    last_seq: int = 0
    """The number of the last event; 0 while there is none."""
    size: int = 0
    """Bytes of data in all its own events, trimmed ones included."""
    ending: Ending | None = None
    trimmed: int = 0
    """Events up to this number are no longer kept."""
    ttl: int | None = None
    """Seconds without a read or a write after which it expires; None: it does not."""
    expires_at: int | None = None
    """Milliseconds since the epoch at which it expires, whatever happens; never beside ``ttl``."""
    deadline: int | None = None
    """When it expires, as far as the store was told: ``expires_at``, or ``ttl`` after a use."""
    ancestry: tuple[Offset, ...] = ()
    """For a fork, where each ancestor's part ends, oldest first; numbers never descend."""
    forked_from: str = ""
    """For a fork, the name of the stream that it was made from."""
    sub_offset: int = 0
    """For a fork, how much of what follows ``ancestry[-1]`` it was made with, as its own events."""
    deleted: bool = False
    """Deleted, and kept only because forks read its events; its name is taken."""
    note: bytes = b""
    """What else is to be known of it without reading it, as JSON; empty: nothing."""
    owner: str = ""
    """The catalogue that runs its source, by its name; it alone decides what becomes of it."""

    @property
    def inherited(self) -> int:
        """The number of the last event that an ancestor has; 0 for a stream that is no fork."""
        return self.ancestry[-1].seq if self.ancestry else 0

    def offset(self, seq: int) -> Offset:
        """The place after event ``seq``, as clients know it: with the generation that made it."""
        for ancestor in self.ancestry:
            if seq <= ancestor.seq:
                return Offset(ancestor.generation, seq)
        return Offset(self.generation, seq)

    @property
    def tail(self) -> Offset:
        """The place after the last event."""
        return self.offset(self.last_seq)

    def grown(self, events: int, size: int) -> StreamInfo:
        """The same stream with so many more events of so many bytes in all."""
        return replace(self, last_seq=self.last_seq + events, size=self.size + size)

    def ended(self, ending: Ending) -> StreamInfo:
        """The same stream with its terminal record."""
        return replace(self, ending=ending)
