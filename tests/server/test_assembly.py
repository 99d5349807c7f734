"""What settings come to."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tailrace.config import load
from tailrace.contracts import DoneCommit, Observers
from tailrace.log.retention import Bounds
from tailrace.server.assembly import assemble, fitting
from tailrace.server.uses import SCHEMA
from tailrace.stores import SqliteStore
from tests.contract.test_observers import Listener

GIB = 1 << 30
MIB = 1 << 20


@pytest.mark.parametrize(
    ("store", "size", "expected"),
    [
        ("", GIB, GIB),
        ("sqlite:x.db", GIB, GIB),
        ("memory:", GIB, 192 * MIB),
        ("memory:", 10 * MIB, 10 * MIB),
    ],
)
def test_ended_answers_go_before_memory_is_full(store: str, size: int, expected: int) -> None:
    """They did not: at its limit the store ended what was running."""
    given = {"store": store, "memory_limit": "256MiB"}
    assert fitting(load(SCHEMA, given, {}), Bounds(1.0, size)) == Bounds(1.0, expected)


@pytest.mark.parametrize("listeners", [(), (Listener(),)])
def test_a_store_says_its_commits_to_the_observers_of_a_server_and_else_to_nobody(
    tmp_path: Path, listeners: tuple[Listener, ...]
) -> None:
    store = SqliteStore(tmp_path / "a.db")

    async def run() -> None:
        async with AsyncExitStack() as resources:
            await assemble(
                load(SCHEMA, {}, {}),
                store,
                environ={},
                bound_host="127.0.0.1",
                port=80,
                observers=Observers(*listeners),
                warn=print,
                progress=lambda _: lambda _: None,
                resources=resources,
                uses=(),
            )

    asyncio.run(run())
    assert (store.on_commit is not None) is bool(listeners)
    if store.on_commit is not None:
        store.on_commit(DoneCommit(1, 0.01))
        assert listeners[0].heard == [DoneCommit(1, 0.01)]
