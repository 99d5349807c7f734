"""Who hears of what has happened: the access log, and whoever measures.

    has happened       who says it                      who hears it
    -----------------  -------------------------------  --------------------
    a request ended    ``web.outcome``, ``http1``       every ``Observer``
    a source ended     the use that the source is of    every ``Observer``
    a commit is done   a store that ``ReportsCommits``  a ``CommitObserver``

An observer is told afterwards. No control flow depends on one, and one that fails changes nothing.
Commits come fifty a second and more, so a store says nothing of them where nobody listens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

logger = logging.getLogger(__name__)

T = TypeVar("T")


class EndedRequest(NamedTuple):
    """A request that is over. Nothing in it is secret: the route is a pattern, not a path."""

    method: str
    route: str
    """The pattern that matched; empty: none did."""
    status: int
    """0: no response began."""
    size: int
    """Bytes of body that were handed to the server."""
    seconds: float
    left: bool
    """Whether the client went before its response was whole."""
    aborted: bool
    """Whether the response's end was left out on purpose."""


class DoneCommit(NamedTuple):
    """A transaction of the store that has become durable."""

    changes: int
    """Changes that it settled; 0 where it only moved or erased what was there."""
    seconds: float
    """From the first try to write it until it was durable, failures in between included."""


TellCommit: TypeAlias = Callable[[DoneCommit], None]


class Observer(Protocol):
    """Hears of what has happened. Every method returns at once and raises nothing."""

    def request_ended(self, request: EndedRequest) -> None:
        """A request is over."""
        ...

    def source_ended(self, kind: str, facts: Mapping[str, Any]) -> None:
        """What filled a stream has ended: in the use's word for it, and facts without secrets.

        ``facts`` have the ``ending``.
        """
        ...


@runtime_checkable
class CommitObserver(Protocol):
    """An observer that hears of commits, too. It returns at once and raises nothing."""

    def commit_done(self, commit: DoneCommit) -> None:
        """The store has committed."""
        ...


@runtime_checkable
class ReportsCommits(Protocol):
    """A store that says when it has committed; asked for once, before the store is opened.

    A store without a medium has no commits.
    """

    on_commit: TellCommit | None
    """What the store calls once for each commit, on the event loop; None: nobody wants to know."""


class Observers:
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def request_ended(self, request: EndedRequest) -> None:
        """Tell all."""
        _tell(self._observers, lambda observer: observer.request_ended(request))

    def source_ended(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Tell all."""
        _tell(self._observers, lambda observer: observer.source_ended(kind, facts))

    @property
    def on_commit(self) -> TellCommit | None:
        """What tells those who hear of commits; None where there are none."""
        listening = [each for each in self._observers if isinstance(each, CommitObserver)]
        if not listening:
            return None
        return lambda commit: _tell(listening, lambda observer: observer.commit_done(commit))


def _tell(observers: Iterable[T], say: Callable[[T], None]) -> None:
    for observer in observers:
        try:
            say(observer)
        except Exception:
            logger.exception("an observer failed")
