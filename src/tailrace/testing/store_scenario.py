"""What the rules of stores have in common: a fresh store for each, and one that is reopened."""

# ruff: noqa: S101 - assertions are what a test kit is made of

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeAlias, TypeVar

from tailrace.contracts import Store

# A store that takes longer than this for one test is broken, not slow.
DEADLINE_SECONDS = 60

_Self = TypeVar("_Self", bound="StoreMaker")
Scenario: TypeAlias = Callable[[_Self, Store], Awaitable[None]]


def scenario(test: Scenario[_Self]) -> Callable[[_Self], None]:
    """Turn ``async def test(self, store)`` into a test that opens and closes a fresh store."""

    def run(self: _Self) -> None:
        async def main() -> None:
            store = self.make_store()
            assert await store.open() == []
            try:
                await asyncio.wait_for(test(self, store), DEADLINE_SECONDS)
            finally:
                await store.close()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class StoreMaker:
    """Inherit, and say how to make a store."""

    persistent: ClassVar[bool] = False

    def make_store(self) -> Store:
        """A store on an empty medium, not opened."""
        raise NotImplementedError

    def reopen(self, store: Store) -> Store:
        """Another store, not opened, on the medium of this one, which is closed."""
        raise NotImplementedError


Check: TypeAlias = Callable[[Store], Awaitable[None]]
LastingScenario: TypeAlias = Callable[[_Self, Store], Awaitable[Check]]


def lasting(test: LastingScenario[_Self]) -> Callable[[_Self], None]:
    """Turn ``async def test(self, store)``, which returns what has to hold from then on, into a
    test that sees it hold at once, and after each of two restarts where there are any.
    """

    def run(self: _Self) -> None:
        async def main() -> None:
            store = self.make_store()
            assert await store.open() == []
            try:
                check = await asyncio.wait_for(test(self, store), DEADLINE_SECONDS)
                await check(store)
                for _ in range(2 if self.persistent else 0):
                    await store.close()
                    store = self.reopen(store)
                    await store.open()
                    await check(store)
            finally:
                await store.close()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
