"""Run by test_sqlite_crash as a process of its own, to be killed at any moment.

Appends to a handful of streams, forks, closes and deletes some, and says on standard output what
was acknowledged, one line each: ``a NAME SEQ``, ``f NAME``, ``c NAME`` or ``d NAME``. A producer
that signs every append is always as far as the events are. ``n NAME`` tells that a stream has the
further name ``NAME/also``, and its name for a note.
"""

from __future__ import annotations

import asyncio
import random
import sys

from tailrace.contracts import Alias, Delete, Note
from tailrace.model import EndingKind, Event, Producer
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker


def payload(name: str, seq: int) -> bytes:
    """What event ``seq`` of a stream holds: enough to be told from any other."""
    return f"{name}:{seq}:".encode() + b"x" * (seq * 37 % 900)


async def main(path: str, run: str, seed: int) -> None:
    dice = random.Random(seed)
    store = SqliteStore(path, journal_limit=20_000, erase_within=0.05, commit_interval=0.002)
    await store.open()
    maker = Maker()
    maker.resume(max((i.generation for i in (await store.list("")).streams), default=""))

    async def fill(worker: int) -> None:
        for n in range(10_000):
            name = f"{run}/{worker}/{n}"
            create = maker.create(name, "relay")
            generation = create.info.generation
            store.write(create)
            seq = 0
            # Half of the workers lead short lives: most writers are killed before a long one is
            # closed, let alone forked and deleted.
            for _ in range(dice.randrange(1, 30 if worker % 2 else 4)):
                append = maker.append(
                    generation, *(payload(name, seq + k) for k in range(1, dice.randrange(2, 5)))
                )
                events: list[Event] = list(append.events)
                seq = events[-1].seq
                signed = append._replace(producer=Producer("w", 0, seq))
                await store.committed(store.write(signed))
                print("a", name, seq, flush=True)
            if dice.random() < 0.7:
                append = maker.append(generation, ending=EndingKind.COMPLETED)
                await store.committed(store.write(append))
                print("c", name, flush=True)
            if dice.random() < 0.7:
                store.write(Note(generation, name.encode()))
                await store.committed(store.write(Alias(generation, f"{name}/also")))
                print("n", name, flush=True)
            if dice.random() < 0.3:
                fork = maker.fork(f"{name}/fork", create.info, dice.randrange(seq + 1))
                await store.committed(store.write(fork))
                print("f", fork.info.name, flush=True)
            if dice.random() < 0.3:
                await store.committed(store.write(Delete(generation)))
                print("d", name, flush=True)

    await asyncio.gather(*(fill(worker) for worker in range(6)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
