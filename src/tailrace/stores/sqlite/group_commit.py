"""Group commit: when the SQLite store writes, what waits for it, and what happens on failure.

One task does everything in sequence, so there is one batch in flight at most and every state is
a place in the code below. The blocking work runs on the writer's thread; a commit costs the
event loop one hand-over and one callback, whatever the number of events in it.

    idle ── a change ──> wait ≤ commit_interval, or until somebody awaits `committed`
      ^                    │
      │                    v
      └── settle <── commit (journal row, rows of streams, moves into segments, trim)
             ^             │ error
             │             v
             ├──────── of the medium: reopen, after a pause that doubles: did the batch become
             │         durable after all? If not, commit it again, together with what was written
             │         meanwhile. Deletes that arrive in the pause are done ahead of it, and end it:
             │         they may have made the room that it needs (``removals``).
             └──────── any other: the same at once, but without the changes that cannot be
                       written, which are found (``isolation``) and refused.

Exactly once: a batch becomes the journal row whose number it was given, and the newest row is
never trimmed, so a file always tells which batch was the last.

Erasure: half of ``erase_within`` after a delete, the journal rows that may hold the stream's
events are emptied: whoever else has events in them moves into segments. Then the log is
truncated. Deletes within that half share one erasure.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from tailrace.contracts import DoneCommit, TellCommit
from tailrace.errors import StoreError, StoreRefused, StoreUnavailable
from tailrace.stores.forks import Forks
from tailrace.stores.sqlite.batch import Batch
from tailrace.stores.sqlite.failures import copy, explain, fail_waiter, is_full, is_of_medium
from tailrace.stores.sqlite.refusals import Refusals
from tailrace.stores.sqlite.removals import Removals
from tailrace.stores.sqlite.settings import Pace
from tailrace.stores.sqlite.unsegmented import Tails
from tailrace.stores.sqlite.writer import Writer

_log: Final = logging.getLogger(__name__)
_T = TypeVar("_T")

# The first pause before reopening is short, for errors that pass; then it doubles, so that a
# dead disk is not hammered, up to what a person who just made room is ready to wait.
_RETRY_FIRST: Final = 0.1
_RETRY_LONGEST: Final = 5.0
# A reader was in the way of truncating the log: reads are bounded, so it is gone soon.
_ERASE_AGAIN: Final = 0.1
_CLOSED: Final = "The store is closed."
_REFUSED: Final = "The store cannot keep this change; nothing of it was kept."


class _GaveUpError(Exception):
    """The store is being closed and the medium still fails."""


class GroupCommit:
    """Makes durable what is put into ``pending``."""

    def __init__(
        self,
        writer: Writer,
        executor: ThreadPoolExecutor,
        tails: Tails,
        forks: Forks,
        pace: Pace,
    ) -> None:
        self._writer = writer
        self._executor = executor
        self._tails = tails
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self.pending = Batch()
        self.in_flight: Batch | None = None
        self.armed = True
        """Whether something will look at ``pending`` soon, so that a change need not call."""
        self.failure: StoreError | None = None
        self.durable_row = tails.row - 1
        self.refusals = Refusals(tails, forks)
        self.removals = Removals(partial(self._call, writer.delete), forks)
        self.on_commit: TellCommit | None = None
        self._durable = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._moving = True
        """Whether events may be laid into segments now."""
        self._wake = asyncio.Event()
        self._rouse = asyncio.Event()
        """Ends a pause after a failure."""
        self._timer: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        self._erase_row = 0
        """Rows up to this one are to be emptied for an erasure; 0: none (rows begin at 1)."""
        self._erase_timer: asyncio.TimerHandle | None = None
        self._task = self._loop.create_task(self._run(), name="tailrace-group-commit")

    @property
    def uncommitted(self) -> int:
        """Bytes of events, notes and further names that are not durable yet."""
        pending, flying = self.pending, self.in_flight
        size = pending.bytes + pending.beside
        return size if flying is None else size + flying.bytes + flying.beside

    def is_deleted(self, generation: str) -> bool:
        """Whether the stream was deleted, and the file may not say so yet."""
        flying = self.in_flight
        return generation in self.pending.deletes or (
            flying is not None and generation in flying.deletes
        )

    def deleted(self) -> frozenset[str]:
        """All of which ``is_deleted`` is true."""
        flying = self.in_flight.deletes if self.in_flight else ()
        return frozenset(self.pending.deletes).union(flying)

    def uncommitted_batches(self) -> list[Batch]:
        """What the file may not have yet, oldest first."""
        return [self.pending] if self.in_flight is None else [self.in_flight, self.pending]

    def arm(self) -> None:
        """Something was put into ``pending`` while nothing was under way."""
        self.armed = True
        self._timer = self._loop.call_later(self._pace.commit_interval, self._wake.set)

    def erase_soon(self) -> None:
        """A stream was deleted; see that its bytes go in time."""
        if self._erase_timer is None:
            self._erase_timer = self._loop.call_later(
                self._pace.erase_within / 2, self._begin_erasure
            )

    async def committed(self, number: int) -> None:
        """Wait for a change, and hurry. Raises StoreRefused, StoreFull or StoreUnavailable."""
        if number in self.refusals:
            raise StoreRefused(_REFUSED)
        if number <= self._durable:
            return
        if self.failure is not None:
            raise copy(self.failure)
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append((number, waiter))
        # The task resumes in the loop's next turn: all who began to wait in this one share
        # its commit.
        self._wake.set()
        await waiter

    async def delete(self, generations: Sequence[str], then: Callable[[], None]) -> None:
        """Delete streams that the file has, ahead of all that waits. Raises StoreError.

        ``then`` is called when the file has done it, whether or not the caller still waits.
        """
        if self._task.done():
            raise StoreUnavailable(_CLOSED)
        waiter = self.removals.add(generations, then)
        self._wake.set()
        self._rouse.set()
        await waiter

    async def close(self) -> None:
        """Commit what waits and erase what was deleted, as far as the medium lets us."""
        self._closing.set()
        self._rouse.set()
        if self._erase_timer is not None:
            self._begin_erasure()
        self._wake.set()
        await self._task
        self._fail_waiters(StoreUnavailable(_CLOSED))
        self.removals.fail(StoreUnavailable(_CLOSED))

    async def _run(self) -> None:
        try:
            while await self._work_waits():
                await self._step_or_wait()
        except _GaveUpError:
            _log.error("The store was closed while its medium failed; %s", self.failure)
        finally:
            self.armed = True
            for timer in (self._timer, self._erase_timer):
                if timer is not None:
                    timer.cancel()

    async def _work_waits(self) -> bool:
        """Sleep until there is something to write; False when there never will be."""
        while not self._is_urgent():
            changed = self.pending.number > self._durable
            if self._closing.is_set():
                return changed
            self._wake.clear()
            self.armed = False
            if changed:
                self.arm()
            await self._wake.wait()
            if self._timer is not None:
                self._timer.cancel()
            self.armed = True
            if self.pending.number > self._durable:
                return True
        return True

    def _is_urgent(self) -> bool:
        return (
            bool(self._waiters)
            or self.removals.wait
            or (self._moving and self._tails.has_due and not self._closing.is_set())
            or (self._moving and self._row_to_free() >= self._tails.oldest_row)
        )

    def _row_to_free(self) -> int:
        if self._closing.is_set():
            return self._erase_row
        return max(self._erase_row, self._tails.excess_row(self._pace.journal_limit))

    async def _step_or_wait(self) -> None:
        failure: Exception | None = None
        try:
            if self.removals.wait:
                await self.removals.run()
                return
            await self._step()
        except _GaveUpError:
            raise
        except Exception as error:
            failure = error
        if failure is None:
            return
        # Out of memory, or a bug of ours, outside of the commit: what waits is still there.
        self._fail(failure)
        if self._closing.is_set():
            raise _GaveUpError from failure
        await self._sleep(_RETRY_FIRST)

    async def _step(self) -> None:
        batch, begun = self.pending, self._loop.time()
        target = self._row_to_free()
        # On the way out nothing moves that does not have to.
        moving = self._moving and (target or not self._closing.is_set())
        moves = self._tails.plan_moves(target) if moving else []
        batch.seal(self._tails.row, moves, self._tails.plan_trim())
        self.pending = Batch(number=batch.number)
        self.in_flight = batch
        self._tails.begin_row()
        failure: Exception | None = None
        try:
            await self._call(self._writer.commit, batch)
        except Exception as error:
            failure = error
        if failure is not None:
            await self._retry(batch, failure)
        changes = batch.number - self._durable
        self._settle(batch)
        if self.on_commit is not None:
            self.on_commit(DoneCommit(changes, self._loop.time() - begun))
        if self._erase_row and self._tails.oldest_row > self._erase_row:
            await self._erase()

    def _settle(self, batch: Batch) -> None:
        self.in_flight = None
        self._durable = batch.number
        self.durable_row = batch.row
        self._tails.settle(batch)
        if self.failure is not None:
            self.failure = None
            _log.warning("The store has recovered; everything it was given is durable.")
        waiters, self._waiters = self._waiters, []
        for number, waiter in waiters:
            if number > batch.number:
                self._waiters.append((number, waiter))
            elif number in self.refusals:
                fail_waiter(waiter, StoreRefused(_REFUSED))
            elif not waiter.done():
                waiter.set_result(None)

    # --- failure ------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        # Whatever it was, a bug of ours included: the batch is kept and the task lives on.
        if self.failure is None:
            _log.error("A commit failed: %s", error)
        self.failure = explain(error)
        self._fail_waiters(self.failure)

    def _fail_waiters(self, failure: StoreError) -> None:
        waiters, self._waiters = self._waiters, []
        for _, waiter in waiters:
            fail_waiter(waiter, failure)

    async def _retry(self, batch: Batch, failure: Exception) -> None:
        """Return when the batch, and what it absorbed, is durable. Raises _GaveUpError."""
        pause = _RETRY_FIRST
        unwell = is_of_medium(failure)
        if batch.moves and is_full(failure):
            # They can wait, and what remains may need little room.
            self._hold_moves(batch)
            unwell = False
        while True:
            last_try = self._closing.is_set()
            if unwell:
                self._fail(failure)
                if not last_try:
                    await self._sleep(pause)
                    pause = min(2 * pause, _RETRY_LONGEST)
            try:
                if await self._call(self._writer.reopen) >= batch.row:
                    return
                if is_of_medium(failure):
                    self._absorb_pending(batch)
                else:
                    await self._refuse(batch, failure)
                await self._call(self._writer.commit, batch)
            except Exception as error:
                if last_try and unwell:
                    raise _GaveUpError from error
                # Whatever fails again fails for all, a bug of ours included.
                failure, unwell = error, True
            else:
                return

    async def _refuse(self, batch: Batch, failure: Exception) -> None:
        """Find the changes that cannot be written, and go on without them."""
        streams = self.refusals.streams()
        refused = await self._call(self._writer.find_refused, batch, streams)
        if refused:
            # Without its text, which may quote what somebody wrote.
            _log.error(
                "The store refused changes of %d stream(s) that it cannot write (%s); all others "
                "are kept.",
                len(refused),
                type(failure).__name__,
            )
            self.refusals.refuse(refused, [batch, self.pending])
        else:
            self._hold_moves(batch)

    def _hold_moves(self, batch: Batch) -> None:
        """Perhaps a move is to blame, which can wait: its events are durable as they are."""
        batch.moves = []
        self._moving = False
        self._loop.call_later(_RETRY_LONGEST, self._move_again)

    def _move_again(self) -> None:
        self._moving = True
        self._wake.set()

    async def _sleep(self, pause: float) -> None:
        """Wait, unless the store is being closed, or a delete has perhaps made room."""
        end = self._loop.time() + pause
        while not self._closing.is_set():
            self._rouse.clear()
            if self.removals.wait:
                if await self.removals.run():
                    return
                continue
            try:
                await asyncio.wait_for(self._rouse.wait(), end - self._loop.time())
            except TimeoutError:
                return

    def _absorb_pending(self, batch: Batch) -> None:
        batch.absorb(self.pending)
        self.pending = Batch(number=batch.number)
        self._tails.rejoin_row(batch.row)

    # --- erasure ------------------------------------------------------------------------------

    def _begin_erasure(self) -> None:
        self._erase_timer = None
        # Rows from the one being filled on were, or will be, sealed without the stream.
        self._erase_row = self._tails.row - 1
        self._wake.set()

    async def _erase(self) -> None:
        self._erase_row = 0
        try:
            clear, more = await self._call(self._writer.erase)
        except (sqlite3.Error, OSError) as error:
            # The connection is closed: the next commit makes a new one, or finds the failure.
            _log.error("Erasing deleted streams failed, and is tried again: %s", error)
            clear, more = False, False
        if (more or not clear) and not self._closing.is_set():
            again = _ERASE_AGAIN if more else _RETRY_FIRST
            self._erase_timer = self._loop.call_later(again, self._begin_erasure)

    async def _call(self, function: Callable[..., _T], *arguments: object) -> _T:
        return await self._loop.run_in_executor(self._executor, function, *arguments)
