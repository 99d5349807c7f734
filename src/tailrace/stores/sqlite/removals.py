"""Deletes that go ahead of what waits to be committed, in transactions of their own.

A delete in a batch would share the batch's fate: on a full disk it would wait behind changes that
need room, although it is what makes room. And it could not be taken back once the batch had
failed. So the file is asked first, and memory follows only when the file has done it.

All that wait share one transaction. If that fails, each is tried alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.errors import StoreError
from tailrace.stores.forks import Forks, Plan
from tailrace.stores.sqlite.failures import explain, fail_waiter

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Removal:
    """What one caller wants deleted."""

    generations: Sequence[str]
    then: Callable[[], None]
    """Called at the moment when the file has done it."""
    waiter: asyncio.Future[None]


class Removals:
    """Those that wait, and the streams that are being deleted now."""

    def __init__(self, delete: Callable[[Plan], Awaitable[None]], forks: Forks) -> None:
        """``delete`` has the writer's thread do it."""
        self._delete = delete
        self._forks = forks
        self._waiting: list[Removal] = []
        self.doomed: frozenset[str] = frozenset()
        """Of these no fork can be made any more."""

    @property
    def wait(self) -> bool:
        """Whether some are to be done."""
        return bool(self._waiting)

    def add(self, generations: Sequence[str], then: Callable[[], None]) -> asyncio.Future[None]:
        """Queue a removal; what is returned is done when the removal is, or raises StoreError."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(Removal(generations, then, waiter))
        return waiter

    async def run(self) -> bool:
        """Do all that wait; whether any succeeded. Raises nothing."""
        removals, self._waiting = self._waiting, []
        failure = await self._try(removals)
        if failure is None:
            return True
        if len(removals) == 1:
            fail_waiter(removals[0].waiter, failure)
            return False
        some = False
        for removal in removals:
            failure = await self._try([removal])
            if failure is not None:
                fail_waiter(removal.waiter, failure)
            some |= failure is None
        return some

    def fail(self, failure: StoreError) -> None:
        """Tell all that wait that it will not be done."""
        waiting, self._waiting = self._waiting, []
        for removal in waiting:
            fail_waiter(removal.waiter, failure)

    async def _try(self, removals: Sequence[Removal]) -> StoreError | None:
        plan = self._forks.plan([g for removal in removals for g in removal.generations])
        self.doomed = frozenset(plan.erased)
        failure: Exception | None = None
        try:
            await self._delete(plan)
        except Exception as error:
            failure = error
        self.doomed = frozenset()
        if failure is not None:
            _log.error("A delete failed, and nothing of it was done: %s", failure)
            return explain(failure)
        for removal in removals:
            try:
                removal.then()
            except Exception:
                # Memory is behind the file then, but only for the streams that are gone.
                _log.exception("a delete could not be told to those who read its streams")
            if not removal.waiter.done():
                removal.waiter.set_result(None)
        return None
