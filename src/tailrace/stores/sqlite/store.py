"""The SQLite store: one file, one writer, many readers; the default.

Who does what
-------------
The event loop's thread owns all state: the tails in memory (``tails``) and the batch being
filled (``batch``). ``write`` puts a change into both and returns. A task (``group_commit``)
hands batches to the writer's thread (``sqlite_writer``). Reads of what is still in a tail are
answered at once; older events, closed streams and listings come from the file through a few
reading threads (``sqlite_reader``).

Why a read never has a hole: an event leaves its tail only in the callback of the commit that
put it into a segment, and the choice between tail and file is made on the same thread. So
what is below ``tail.segmented`` is in the file for good, and the rest is in memory. Only a
delete can come between; it is seen whole, in one read transaction, as NotFound.

Why a listing is right although part of it is not committed: streams in memory are taken from
memory; of those in the file only such count that had closed by the last durable row when the
listing began, so none is counted twice and none is missed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from tailrace.contracts import (
    Append,
    Change,
    Create,
    Delete,
    Listing,
    StoreHealth,
    TellCommit,
    Writers,
)
from tailrace.errors import (
    NotFound,
    StoreRefused,
    StreamIsClosed,
)
from tailrace.model import DATA, Event, StreamInfo
from tailrace.stores.event_memory import EVENT_OVERHEAD
from tailrace.stores.forks import Forks
from tailrace.stores.sqlite.changes import Changes
from tailrace.stores.sqlite.group_commit import GroupCommit
from tailrace.stores.sqlite.listing import Query, in_memory, merged
from tailrace.stores.sqlite.lock import StoreLock
from tailrace.stores.sqlite.reader import Reader
from tailrace.stores.sqlite.recovery import Recovered
from tailrace.stores.sqlite.schema import cannot_open
from tailrace.stores.sqlite.settings import Pace
from tailrace.stores.sqlite.uncommitted import (
    Uncommitted,
    UncommittedWriters,
    any_made,
    taker_of,
)
from tailrace.stores.sqlite.unsegmented import Tail, Tails
from tailrace.stores.sqlite.writer import Connector, Durability, Writer, connect
from tailrace.stores.storable import check, check_append

# A read is a seek and 256 KiB; four threads keep a disk busy, more would only compete with
# the event loop for the interpreter.
_READERS: Final = 4

# Made for every token, so without the Python function that makes a named tuple.
_make_health: Final[Callable[[tuple[int, bool, str, bool]], StoreHealth]] = partial(
    tuple.__new__, StoreHealth
)

# What follows the events in an Append that has nothing else.
_ONLY_EVENTS: Final = (None, None, "")


class SqliteStore:
    """A ``contracts.Store`` in one SQLite file.

    path: the file; its directory is made where it is missing. The file is locked while the store
        is open, by whatever name it was opened.
    durability: ``full`` (an acknowledged change survives a power cut) or ``process`` (it
        survives the death of the process; a power cut may take the last seconds).
    commit_interval: seconds that a change waits at most for others to share its commit, while
        nobody waits for it.
    max_uncommitted: bytes; from there on ``health`` says congested.
    journal_limit: bytes of events that may be in the journal and in memory only.
    erase_within: seconds from a delete until its bytes are gone from the files.
    connector: opens a connection; for tests that need a failing disk.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability = "full",
        commit_interval: float = 0.020,
        max_uncommitted: int = 16 * 1024 * 1024,
        journal_limit: int = 32 * 1024 * 1024,
        erase_within: float = 5.0,
        connector: Connector = connect,
    ) -> None:
        # SQLite's log is beside the file itself, not beside a link to it.
        self._path = Path(path).resolve()
        self._pace = Pace(commit_interval, journal_limit, erase_within)
        self._max_uncommitted = max_uncommitted
        self._writer = Writer(self._path, connector, durability)
        self._reader = Reader(self._path, connector)
        self._lock = StoreLock(self._path)
        self._number = 0
        self._tell: Callable[[str], None] | None = None
        self.on_commit: TellCommit | None = None
        self._forks = Forks()
        self._reads: dict[tuple[str, int, int], asyncio.Future[list[Event]]] = {}
        self._tails: Tails
        self._commit: GroupCommit
        self._changes: Changes
        self._writer_thread: ThreadPoolExecutor
        self._reader_threads: ThreadPoolExecutor

    # --- opening and closing ------------------------------------------------------------------

    def on_refused(self, tell: Callable[[str], None]) -> None:
        """Have streams told that lost changes; see ``Store.on_refused``. Before ``open``."""
        self._tell = tell

    async def open(self) -> list[StreamInfo]:
        """Lock, check, migrate, recover.

        Raises StoreLocked, StoreTooNew, StoreCorrupt, or ConfigError where the path cannot be
        used at all.
        """
        self._loop = asyncio.get_running_loop()
        self._writer_thread = ThreadPoolExecutor(1, "tailrace-store-writer")
        self._reader_threads = ThreadPoolExecutor(_READERS, "tailrace-store-reader")
        try:
            self._lock.acquire()
            found = await self._loop.run_in_executor(self._writer_thread, self._writer.open)
        except (sqlite3.Error, OSError) as error:
            self._release()
            raise cannot_open(self._path, error) from error
        except BaseException:
            self._release()
            raise
        return self._begin(found)

    def _begin(self, found: Recovered) -> list[StreamInfo]:
        self._tails = Tails(found.next_row, found.next_stream)
        for tail in found.tails:
            self._tails.adopt(tail)
        for row, size in found.rows:
            self._tails.add_row(row, size)
        for generation, ancestry, deleted in found.forks:
            self._forks.add(generation, ancestry, deleted=deleted)
        self._commit = GroupCommit(
            self._writer, self._writer_thread, self._tails, self._forks, self._pace
        )
        self._commit.refusals.tell = self._tell
        self._changes = Changes(self._commit, self._tails, self._forks)
        if found.unerased:
            self._commit.erase_soon()
        for generation in self._forks.orphans():
            self.write(Delete(generation))
        self._commit.on_commit = self.on_commit
        infos = [tail.info for tail in found.tails]
        return [i for i in infos if i.source and i.ending is None and not i.deleted]

    async def close(self) -> None:
        """Commit what waits, finish reads that are under way, join the threads, unlock."""
        await self._commit.close()
        if self._reads:
            await asyncio.wait(self._reads.values())
        # No read runs, so this does not block: it only lets the threads go.
        self._reader_threads.shutdown()
        self._reader.close()
        await self._loop.run_in_executor(self._writer_thread, self._writer.close)
        self._release()

    def _release(self) -> None:
        self._writer_thread.shutdown()
        self._reader_threads.shutdown()
        self._lock.release()

    # --- writing ------------------------------------------------------------------------------

    def write(self, change: Change) -> int:
        """Queue a change; see ``Store.write``.

        Raises NotFound or StreamIsClosed for an Append to a stream that is not open, BadRequest
        for what cannot be stored.
        """
        if isinstance(change, Append):
            self._append(change)
            owner = change.generation
        else:
            owner = self._write(change)
        self._number += 1
        commit = self._commit
        commit.pending.owners.append(owner)
        commit.pending.number = self._number
        if not commit.armed:
            commit.arm()
        return self._number

    def _write(self, change: Change) -> str:
        """Whose change it is, for when it cannot be kept."""
        check(change)
        if isinstance(change, Create):
            self._create(change)
            return change.info.generation
        if isinstance(change, Delete):
            self._changes.delete(change.generation)
            return ""
        assert not isinstance(change, Append)  # noqa: S101 - they go another way
        self._changes.adjust(change)
        return change.generation

    def _append(self, change: Append) -> None:
        tail = self._tails.get(change.generation)
        if tail is None or tail.deleted:
            raise NotFound("There is no such stream to append to.")
        if tail.ending is not None:
            raise StreamIsClosed("The stream is closed.")
        events = change.events
        # Nearly always one event of the usual type and nothing else, so nothing to check.
        if len(events) != 1 or events[0].type is not DATA or change[2:] != _ONLY_EVENTS:
            check_append(change)
        self._extend(tail, change)

    def _extend(self, tail: Tail, change: Append) -> None:
        """Put a checked change into the tail and the batch."""
        pending = self._commit.pending
        events = change.events
        if events:
            size = len(events[0].data)
            if len(events) > 1:
                size = sum([len(event.data) for event in events])
            self._tails.append(tail, events, size)
            pending.records.append((tail.stream, events))
            pending.bytes += size + EVENT_OVERHEAD * len(events)
        if change.ending is not None:
            pending.closes[change.generation] = self._tails.close(tail, change.ending)
        if change.producer is not None:
            pending.producers[tail.stream, change.producer.id] = change.producer
        if change.writer_seq:
            pending.writer_seqs[tail.stream] = change.writer_seq

    def _create(self, change: Create) -> None:
        info = change.info
        doomed = self._commit.removals.doomed
        if doomed and not doomed.isdisjoint(ancestor.generation for ancestor in info.ancestry):
            raise NotFound("The stream to be forked is being deleted.")
        stream = self._tails.create(info)
        self._forks.add(info.generation, info.ancestry)
        self._commit.pending.creates[info.generation] = (stream, info)
        tail = self._tails.get(info.generation)
        assert tail is not None  # noqa: S101 - made two lines above
        self._extend(tail, Append(info.generation, change.events, change.ending))

    async def delete(self, generations: Sequence[str], then: Callable[[], None]) -> None:
        """Delete streams, durable on return; see ``Store.delete``."""
        if any_made(generations, self._commit.uncommitted_batches()):
            # Only what is in the file can be deleted there. A stream whose making is refused
            # is gone, too.
            with suppress(StoreRefused):
                await self._commit.committed(self._number)
        await self._commit.delete(generations, partial(self._deleted, generations, then))

    def _deleted(self, generations: Sequence[str], then: Callable[[], None]) -> None:
        """The file has deleted these, and memory follows."""
        try:
            then()
        finally:
            for generation in generations:
                for batch in self._commit.uncommitted_batches():
                    batch.vacate(generation)
                self.write(Delete(generation))

    async def committed(self, number: int) -> None:
        """Wait until a change is durable; see ``Store.committed``."""
        await self._commit.committed(number)

    def health(self) -> StoreHealth:
        """How the store fares; see ``Store.health``."""
        failure, uncommitted = self._commit.failure, self._commit.uncommitted
        congested = uncommitted >= self._max_uncommitted
        if failure is None:
            return _make_health((uncommitted, congested, "", False))
        return StoreHealth(uncommitted, congested, str(failure), failure.code == "store_full")

    # --- reading ------------------------------------------------------------------------------

    async def read(self, generation: str, after: int, limit: int) -> list[Event]:
        """Events after a place; see ``Store.read``."""
        tail = self._tails.get(generation)
        if tail is not None:
            after = tail.begin(after)
            if after >= tail.segmented:
                return tail.after(after, limit)
        for batch in self._commit.uncommitted_batches():
            after = max(after, batch.trims.get(generation, 0))
        if self._commit.is_deleted(generation):
            raise NotFound("There is no such stream.")
        key = (generation, after, limit)
        reading = self._reads.get(key)
        if reading is None:
            reading = self._loop.run_in_executor(self._reader_threads, self._reader.read, *key)
            self._reads[key] = reading
            reading.add_done_callback(lambda done: self._finished(key, done))
        # One caller's cancellation must not take the answer from the others. Each gets a list
        # of its own.
        events = list(await asyncio.shield(reading))
        if not events and tail is not None and self._tails.get(generation) is tail:
            tail.refuse_gap(after)
        return events

    def _finished(self, key: tuple[str, int, int], done: asyncio.Future[list[Event]]) -> None:
        del self._reads[key]
        if not done.cancelled():
            done.exception()  # whoever asked has heard of it, unless it was cancelled

    async def find(self, name: str) -> StreamInfo | None:
        """The stream of that name; see ``Store.find``.

        A further name that was taken a moment ago by a stream which is not in memory waits for
        its commit, because only the file can say whether there is such a stream. Raises
        StoreFull or StoreUnavailable where that fails.
        """
        while True:
            tail = self._tails.named(name)
            if tail is not None:
                return tail.info
            taker = taker_of(name, self._commit.uncommitted_batches())
            if taker and self._tails.get(taker) is None:
                await self._commit.committed(self._number)
                continue
            gone = self._commit.deleted()
            uncommitted = Uncommitted(self._commit.uncommitted_batches())
            found = await self._loop.run_in_executor(self._reader_threads, self._reader.find, name)
            for info in found.own:
                if info.generation not in gone and not self._commit.is_deleted(info.generation):
                    return uncommitted.applied(info)
            further = found.further
            if taker is None and further is not None and further.generation not in gone:
                taker = further.generation
            if not taker or self._commit.is_deleted(taker):
                return None
            tail = self._tails.get(taker)
            if tail is not None:
                return None if tail.deleted else tail.info
            if further is not None and further.generation == taker and further.ending is not None:
                info = uncommitted.applied(further)
                return None if info.deleted else info
            # It has left memory since, so the file knows more by now than when it was read.

    async def writers(self, generation: str) -> Writers:
        """What it remembers of those who append; see ``Store.writers``."""
        tail = self._tails.get(generation)
        # One that is in no tail was closed, and all that concerns it is committed.
        key = 0 if tail is None else tail.stream
        uncommitted = UncommittedWriters(self._commit.uncommitted_batches(), key)
        # Asked before and after: the file may be read before a delete is committed and the answer
        # be here after that, when the delete is no longer among what is not.
        gone = self._commit.is_deleted(generation)
        found = await self._loop.run_in_executor(
            self._reader_threads, self._reader.writers, generation
        )
        if gone or self._commit.is_deleted(generation) or (found is None and tail is None):
            raise NotFound("There is no such stream.")
        return uncommitted.applied(found or Writers())

    async def list(
        self,
        prefix: str,
        *,
        before: str = "",
        limit: int = 100,
        oldest_closed: bool = False,
        due: int | None = None,
    ) -> Listing:
        """A page of streams; see ``Store.list``."""
        uncommitted = Uncommitted(self._commit.uncommitted_batches())
        listed, row = self._tails.listed, self._commit.durable_row
        hidden = self._commit.deleted().union(uncommitted.hidden, listed.closed())
        query = Query(prefix, before, limit, oldest_closed, row, hidden, due, uncommitted.renewals)
        known = in_memory(listed, query)
        page = await self._loop.run_in_executor(self._reader_threads, self._reader.list, query)
        return merged(known, page, query, uncommitted.applied)
