"""Which streams a page of a listing shows, of those in memory. Sans-I/O.

A page costs the same however many streams there are. What is asked for decides how it is found:

    prefix                         streams are found by           totals
    -----------------------------  -----------------------------  -------------------------------
    empty                          generation                     kept
    one folder, ``chat/``          generation, within the folder  kept
    any other, of few names        name; then sorted              counted
    any other, of more than LOOK   generation, within the folder  unknown
                                   if there is one, at most LOOK

A folder is the first segment of a name, with its slash. Only in the last row may a page be short
although more follows: it then says how far it has looked.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import attrgetter
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from tailrace.model import Ending
from tailrace.stores.ordered import Ordered

LOOK: Final = 500
"""Streams that a page looks at, at most, to find those it shows: less than a millisecond."""

_generation = attrgetter("generation")


class Folder:
    """The streams whose names have the same first segment; or all."""

    __slots__ = ("bytes", "closed", "order", "streams")

    def __init__(self) -> None:
        self.streams = 0
        self.bytes = 0
        """Of data in all of them."""
        self.order: Final = Ordered[str]()
        """Generations."""
        self.closed: Final = Ordered[tuple[int, str]]()
        """When each that is closed was closed, and its generation."""


class Indexed(Protocol):
    """What is known of a stream in memory."""

    @property
    def name(self) -> str: ...
    @property
    def generation(self) -> str: ...
    @property
    def deadline(self) -> int | None: ...

    size: int
    ending: Ending | None
    folder: Folder
    """Whoever changes ``size`` tells it, and ``StreamIndex.all``."""


Stream = TypeVar("Stream", bound=Indexed)


class Totals(NamedTuple):
    """What a prefix amounts to."""

    streams: int
    bytes: int


class Found(Generic[Stream]):
    """One page."""

    __slots__ = ("looked_to", "streams", "totals")

    def __init__(self, streams: list[Stream], totals: Totals | None, looked_to: str = "") -> None:
        """``totals`` of None are unknown. ``looked_to``: of a page that may be short, the last
        generation that was looked at; empty: it is not short."""
        self.streams: Final = streams
        self.totals: Final = totals
        self.looked_to: Final = looked_to


def folder_of(name: str) -> str:
    """The first segment of a name or a prefix, with its slash; empty where it has none."""
    first, slash, _ = name.partition("/")
    return first + slash if slash else ""


def is_folder(prefix: str) -> bool:
    """Whether the streams of that prefix are those of one folder."""
    return bool(prefix) and folder_of(prefix) == prefix


class StreamIndex(Generic[Stream]):
    """The streams that a listing may show."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self.all: Final = Folder()
        self._folders: dict[str, Folder] = {}
        self._names: Final = Ordered[tuple[str, str]]()
        self._deadlines: Final = Ordered[tuple[int, str]]()

    # --- changes ------------------------------------------------------------------------------

    def add(self, stream: Stream) -> None:
        """Take in a stream, and give it its folder."""
        generation = stream.generation
        self._streams[generation] = stream
        key = folder_of(stream.name)
        folder = stream.folder = self._folders.setdefault(key, Folder())
        for each in (folder, self.all):
            each.streams += 1
            each.bytes += stream.size
            each.order.add(generation)
        self._names.add((stream.name, generation))
        if stream.ending is not None:
            self.close(stream, stream.ending)
        if stream.deadline is not None:
            self._deadlines.add((stream.deadline, generation))

    def close(self, stream: Stream, ending: Ending) -> None:
        """It is closed."""
        if stream.generation in self._streams:
            for each in (stream.folder, self.all):
                each.closed.add((ending.time, stream.generation))

    def renew(self, stream: Stream, deadline: int) -> None:
        """Its deadline is about to become this one."""
        generation = stream.generation
        if generation not in self._streams:
            return
        if stream.deadline is not None:
            self._deadlines.discard((stream.deadline, generation))
        self._deadlines.add((deadline, generation))

    def discard(self, stream: Stream) -> None:
        """Let a stream go, if it is there."""
        generation = stream.generation
        if self._streams.pop(generation, None) is None:
            return
        for each in (stream.folder, self.all):
            each.streams -= 1
            each.bytes -= stream.size
            each.order.discard(generation)
            if stream.ending is not None:
                each.closed.discard((stream.ending.time, generation))
        if not stream.folder.streams:
            del self._folders[folder_of(stream.name)]
        self._names.discard((stream.name, generation))
        if stream.deadline is not None:
            self._deadlines.discard((stream.deadline, generation))

    # --- pages --------------------------------------------------------------------------------

    def newest(self, prefix: str, before: str, limit: int) -> Found[Stream]:
        """The newest streams of that prefix, with generations below ``before``, if it is given."""
        folder = self._folder(prefix)
        if folder is not None and (not prefix or is_folder(prefix)):
            return Found(self._first(folder.order.before(before or None), limit), _totals(folder))
        named = self._named(prefix)
        if named is not None:
            older = [each for each in named if not before or each.generation < before]
            return Found(heapq.nlargest(limit, older, key=_generation), _counted(named))
        return self._looked_through(folder or self.all, prefix, before, limit)

    def totals(self, prefix: str) -> Totals | None:
        """What the streams of that prefix amount to; None where only counting all would tell."""
        folder = self._folder(prefix)
        if folder is not None and (not prefix or is_folder(prefix)):
            return _totals(folder)
        named = self._named(prefix)
        return None if named is None else _counted(named)

    def longest_closed(self, prefix: str, before: str, limit: int) -> list[Stream]:
        """The streams of that prefix that were closed first; quick for a folder, and for all."""
        folder = self._folder(prefix)
        closed = self.all.closed if folder is None else folder.closed
        return self._matching(iter(closed), prefix, before, limit)

    def due(self, prefix: str, before: str, limit: int, now: int) -> list[Stream]:
        """The streams of that prefix whose time is over, the earliest first."""
        return self._matching(_until(iter(self._deadlines), now), prefix, before, limit)

    def closed(self) -> Iterator[str]:
        """The generations of those that are closed."""
        return (generation for _, generation in self.all.closed)

    def _folder(self, prefix: str) -> Folder | None:
        """What holds all streams of that prefix; None: there is nothing but all of them."""
        if not prefix:
            return self.all
        key = folder_of(prefix)
        return (self._folders.get(key) or Folder()) if key else None

    def _first(self, generations: Iterator[str], limit: int) -> list[Stream]:
        found: list[Stream] = []
        for generation in generations:
            if len(found) == limit:
                break
            found.append(self._streams[generation])
        return found

    def _named(self, prefix: str) -> list[Stream] | None:
        """All streams of that prefix; None where they are more than LOOK."""
        found: list[Stream] = []
        for name, generation in self._names.since((prefix, "")):
            if not name.startswith(prefix):
                break
            if len(found) == LOOK:
                return None
            found.append(self._streams[generation])
        return found

    def _looked_through(
        self, folder: Folder, prefix: str, before: str, limit: int
    ) -> Found[Stream]:
        found: list[Stream] = []
        last, looked = "", 0
        for generation in folder.order.before(before or None):
            if len(found) == limit:
                return Found(found, None)
            if looked == LOOK:
                return Found(found, None, last)
            stream = self._streams[generation]
            if stream.name.startswith(prefix):
                found.append(stream)
            last, looked = generation, looked + 1
        return Found(found, None)

    def _matching(
        self, keys: Iterator[tuple[int, str]], prefix: str, before: str, limit: int
    ) -> list[Stream]:
        found: list[Stream] = []
        for _, generation in keys:
            if len(found) == limit:
                break
            stream = self._streams[generation]
            if stream.name.startswith(prefix) and (not before or generation < before):
                found.append(stream)
        return found


def _until(keys: Iterator[tuple[int, str]], now: int) -> Iterator[tuple[int, str]]:
    for key in keys:
        if key[0] > now:
            return
        yield key


def _totals(folder: Folder) -> Totals:
    return Totals(folder.streams, folder.bytes)


def _counted(streams: list[Stream]) -> Totals:
    return Totals(len(streams), sum(stream.size for stream in streams))
