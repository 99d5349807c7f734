"""Every store of ours keeps the contract, and none can be told from a dict."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.contracts import Store
from tailrace.stores import MemoryStore, SqliteStore
from tailrace.testing.store_contract import StoreContract
from tailrace.testing.store_model import Step, compare


class TestMemoryStore(StoreContract):
    def make_store(self) -> Store:
        return MemoryStore()


class TestSqliteStore(StoreContract):
    persistent = True
    journal_limit = 32 * 1024 * 1024

    @pytest.fixture(autouse=True)
    def directory(self, tmp_path: Path) -> None:
        self.place(tmp_path)

    def place(self, directory: Path) -> None:
        self._directory = directory
        self._count = itertools.count()

    def make_store(self) -> Store:
        self._path = self._directory / str(next(self._count)) / "store.db"
        return self._open()

    def reopen(self, store: Store) -> Store:
        return self._open()

    def _open(self) -> Store:
        return SqliteStore(
            self._path,
            durability="process",
            commit_interval=0.001,
            journal_limit=self.journal_limit,
        )


class TestSqliteStoreThatMovesEverythingAtOnce(TestSqliteStore):
    """A journal without room: whatever is committed is on its way into a segment."""

    journal_limit = 1


VERBS = ["append"] * 4 + ["create"] * 3 + ["fork"] * 3 + ["read"] * 3
VERBS += ["close", "sign", "delete", "renew", "trim", "alias", "note"] * 2
VERBS += ["commit", "yield", "reopen", "find", "writers", "list", "oldest", "due"]
STEPS = st.lists(
    st.builds(
        Step,
        verb=st.sampled_from(VERBS),
        stream=st.integers(0, 7),
        sizes=st.lists(st.integers(0, 300), max_size=6),
        after=st.integers(0, 20),
        limit=st.integers(1, 500),
    ),
    min_size=5,
    max_size=60,
)


@contextmanager
def _contract(kind: type[StoreContract]) -> Iterator[StoreContract]:
    contract = kind()
    with tempfile.TemporaryDirectory() as directory:
        if isinstance(contract, TestSqliteStore):
            contract.place(Path(directory))
        yield contract


@pytest.mark.parametrize(
    "kind", [TestMemoryStore, TestSqliteStore, TestSqliteStoreThatMovesEverythingAtOnce]
)
@settings(max_examples=40)
@given(steps=STEPS)
def test_a_store_cannot_be_told_from_a_dict(kind: type[StoreContract], steps: list[Step]) -> None:
    with _contract(kind) as contract:
        reopen = contract.reopen if contract.persistent else None
        asyncio.run(compare(contract.make_store(), reopen, steps))
