"""Deletes that wait together, without a disk."""

from __future__ import annotations

import asyncio

from tailrace.errors import StoreFull, StoreUnavailable
from tailrace.stores.forks import Forks, Plan
from tailrace.stores.sqlite.removals import Removals


def test_all_that_wait_share_a_transaction_and_each_is_tried_alone_if_that_fails() -> None:
    async def main() -> None:
        tried: list[list[str]] = []
        told: list[str] = []

        async def delete(plan: Plan) -> None:
            tried.append(sorted(plan.erased))
            assert removals.doomed == frozenset(plan.erased)
            if "too large" in plan.erased:
                raise OSError(28, "No space left on device")

        removals = Removals(delete, Forks())
        await asyncio.gather(
            *[
                *(removals.add([name], lambda name=name: told.append(name)) for name in "ab"),  # type: ignore[misc]
                removals.run(),
            ]
        )
        assert tried.pop() == ["a", "b"]
        waiters = [
            removals.add([name], lambda name=name: told.append(name))  # type: ignore[misc]
            for name in ("c", "too large", "d")
        ]
        assert await removals.run()
        found = await asyncio.gather(*waiters, return_exceptions=True)
        assert tried == [["c", "d", "too large"], ["c"], ["too large"], ["d"]]
        assert found[::2] == [None, None]
        assert isinstance(found[1], StoreFull)
        assert told == ["a", "b", "c", "d"]
        assert not removals.doomed
        assert not removals.wait

    asyncio.run(main())


def test_what_is_never_done_is_said_to_be_so() -> None:
    async def main() -> None:
        async def delete(_: Plan) -> None:
            raise AssertionError

        removals = Removals(delete, Forks())
        waiter = removals.add(["a"], lambda: None)
        assert removals.wait
        removals.fail(StoreUnavailable("The store is closed."))
        assert isinstance(waiter.exception(), StoreUnavailable)
        assert not removals.wait

    asyncio.run(main())
