"""The changes of a stream that are no events: what they do to memory and to the pending batch."""

from __future__ import annotations

from tailrace.contracts import Alias, Note, Renew, Trim
from tailrace.stores.forks import Forks
from tailrace.stores.sqlite.group_commit import GroupCommit
from tailrace.stores.sqlite.unsegmented import Tail, Tails


class Changes:
    """Makes them, on the event loop's thread."""

    def __init__(self, commit: GroupCommit, tails: Tails, forks: Forks) -> None:
        self._commit = commit
        self._tails = tails
        self._forks = forks

    def delete(self, generation: str) -> None:
        """Forget a stream; where forks need it, hide it."""
        for gone in self._forks.delete(generation):
            tail = self._tails.forget(gone)
            self._commit.pending.delete(gone, None if tail is None else tail.stream)
            self._commit.erase_soon()
        if self._forks.is_deleted(generation):
            self._commit.pending.hide(generation)
            # Its further names and its note go now.
            self._commit.erase_soon()
            tail = self._tails.get(generation)
            if tail is not None:
                self._tails.hide(tail)

    def adjust(self, change: Renew | Trim | Alias | Note) -> None:
        """Change what is kept of a stream beside its events."""
        generation = change.generation
        tail = self._tails.get(generation)
        if isinstance(change, (Alias, Note)):
            if not self._forks.is_deleted(generation) and not self._commit.is_deleted(generation):
                self._describe(change, tail)
        elif isinstance(change, Renew):
            self._commit.pending.renewals[generation] = change.deadline
            if tail is not None:
                self._tails.renew(tail, change.deadline)
        else:
            self._commit.pending.trim_stream(generation, change.seq)
            if tail is not None:
                tail.trim(change.seq)

    def _describe(self, change: Alias | Note, tail: Tail | None) -> None:
        if isinstance(change, Alias):
            self._commit.pending.alias(change.generation, change.name)
            return
        self._commit.pending.note(change.generation, change.data)
        if tail is not None:
            tail.note(change.data)
