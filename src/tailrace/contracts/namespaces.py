"""A namespace: the streams whose names begin with one prefix, and what holds for all of them.

    who reads      who has the right ``read``: READ_LINK is whoever has the link, and MANAGE is
                   whoever may manage. It holds for every view, on every root, and for forks.
    who writes     clients, unless ``closed_to_clients`` says why not
    caches         shared ones may keep what is read, unless ``private``

A use brings its namespace (`tailrace.web.use`), and the core asks this table. Streams that belong
to no use are in `OPEN`, whose prefix is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tailrace.contracts.rights import Right


@dataclass(frozen=True, slots=True)
class Namespace:
    """What holds for the streams below one prefix."""

    prefix: str
    """One segment and its slash, such as ``chat/``; empty for all that have no other."""
    read: Right = Right.READ_LINK
    """READ_LINK or MANAGE."""
    closed_to_clients: str = ""
    """Why clients make and append to none, as a sentence for them; empty: they may."""
    private: bool = False
    """No cache keeps what is read of them."""
    part: str = "name"
    """What follows the prefix, in a word, for the log, which must not show it."""

    def __contains__(self, name: str) -> bool:
        """Whether a stream of that name would be in here; the prefix without its slash is, too."""
        return name.startswith(self.prefix) or name == self.prefix.removesuffix("/")


OPEN: Final = Namespace("")
"""Streams that clients make for themselves. A fork may be in it whatever it forks from here."""


class Namespaces:
    """All namespaces of one server."""

    def __init__(self, namespaces: Iterable[Namespace] = ()) -> None:
        """Raises ValueError where two share a prefix, or one is no single segment."""
        self._by_prefix: dict[str, Namespace] = {}
        for namespace in namespaces:
            segment, slash, rest = namespace.prefix.partition("/")
            if not (segment and slash) or rest or namespace.prefix in self._by_prefix:
                raise ValueError(f"{namespace.prefix!r} is no prefix of one namespace")
            self._by_prefix[namespace.prefix] = namespace

    def __iter__(self) -> Iterator[Namespace]:
        yield from self._by_prefix.values()
        yield OPEN

    def of(self, name: str) -> Namespace:
        """The namespace of the stream of that name."""
        return self._by_prefix.get(f"{name.partition('/')[0]}/", OPEN)
