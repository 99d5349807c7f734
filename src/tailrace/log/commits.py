"""What waits until it is durable, for a whole process: one wait on the store at a time.

Changes become durable in the order of their numbers, so waiting for the newest is waiting for
all, and an append costs one entry in a list however many others are under way. Those that the
store refused are told apart once the newest is durable.

A commit that failed is not an append that failed: the store keeps what it was given and commits
it once its medium lets it. Whoever waits is told of the failure at once; what is to happen when
the change is durable after all (it becomes visible) still happens then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from tailrace.contracts import Store
from tailrace.errors import StoreError, StoreRefused, StoreUnavailable

logger = logging.getLogger(__name__)

# Between two looks at a store that fails: it tries to recover by itself, every 0.1 to 5 seconds.
_RETRY: Final = 0.5


class _Entry(NamedTuple):
    number: int
    waiter: asyncio.Future[None] | None = None
    then: Callable[[], None] | None = None


class Commits:
    """Calls and wakes what waits for changes of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._durable = 0
        self._entries: list[_Entry] = []
        self._task: asyncio.Task[None] | None = None

    def expect(self, number: int, then: Callable[[], None]) -> None:
        """Call ``then`` as soon as change ``number`` is durable, however long that takes."""
        self._add(_Entry(number, then=then))

    async def durable(self, number: int) -> None:
        """Wait until change ``number`` is durable and what was to happen then has happened.

        Raises StoreFull, StoreUnavailable, or StoreRefused.
        """
        if number > self._durable:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._add(_Entry(number, waiter))
            await waiter
        else:  # unless it was refused
            await self._store.committed(number)

    async def close(self) -> None:
        """Wait for nothing any more. Those who wait hear that the store is closed."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        self._fail(StoreUnavailable("The store is closed."))

    def _add(self, entry: _Entry) -> None:
        self._entries.append(entry)
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._run(), name="tailrace-commits")

    async def _run(self) -> None:
        while self._entries:
            newest = max(entry.number for entry in self._entries)
            outcomes = {newest: await self._wait_for(newest)}
            # The store may have refused some of the others, or only the newest failed. These
            # waits return at once: all before the newest are durable, or the medium fails.
            for number in sorted({entry.number for entry in self._entries}):
                if number < newest:
                    outcomes[number] = await self._wait_for(number)
            self._settle(outcomes)
            if self._entries and not _is_final(outcomes[newest]):
                await asyncio.sleep(_RETRY)
        self._task = None

    async def _wait_for(self, number: int) -> StoreError | None:
        try:
            await self._store.committed(number)
        except StoreError as error:
            return error
        except Exception:
            # A bug in a store: those who wait hear of it, and the next change is waited for.
            logger.exception("waiting for the store failed")
            return StoreUnavailable("The store could not say what it has written.")
        self._durable = max(self._durable, number)
        return None

    def _settle(self, outcomes: dict[int, StoreError | None]) -> None:
        """Tell those who wait; keep what is to happen when the medium works again."""
        entries, self._entries = self._entries, []
        for entry in entries:
            if entry.number not in outcomes:  # it came meanwhile
                self._entries.append(entry)
                continue
            failure = outcomes[entry.number]
            if failure is not None:
                _tell(entry, failure)
                if entry.then is not None and not _is_final(failure):
                    self._entries.append(entry)
                continue
            if entry.then is not None:
                entry.then()
            if entry.waiter is not None and not entry.waiter.done():
                entry.waiter.set_result(None)

    def _fail(self, failure: StoreError) -> None:
        """Tell those who wait; nothing else will happen."""
        for entry in self._entries:
            _tell(entry, failure)
        self._entries = [entry for entry in self._entries if entry.then is not None]


def _is_final(outcome: StoreError | None) -> bool:
    """Whether the change is durable, or never will be."""
    return outcome is None or isinstance(outcome, StoreRefused)


def _tell(entry: _Entry, failure: StoreError) -> None:
    if entry.waiter is not None and not entry.waiter.done():
        # An object of one's own: one raised in many tasks collects tracebacks.
        entry.waiter.set_exception(type(failure)(str(failure)))
