"""The rules for ``Store.delete``: ahead of what waits, whole, and told in the moment it happens."""

# ruff: noqa: S101 - assertions are what a test kit is made of

from __future__ import annotations

import asyncio

from tailrace.contracts import Alias, Store
from tailrace.errors import NotFound
from tailrace.model import EndingKind, Offset, mint_generation
from tailrace.testing.store_client_rules import fork_of
from tailrace.testing.store_model import Maker, is_unknown, read_all, settle
from tailrace.testing.store_scenario import Check, StoreMaker, lasting, scenario


def nothing() -> None:
    """Whoever deletes has nothing to do when it happens."""


async def _is_gone(store: Store, name: str, generation: str) -> bool:
    return await store.find(name) is None and await is_unknown(store, generation)


class DeleteRules(StoreMaker):
    """Inherited by ``StoreContract``."""

    @lasting
    async def test_streams_deleted_in_any_state_are_gone_and_stay_gone(self, store: Store) -> Check:
        maker = Maker()
        stays = maker.create("stays")
        events = maker.append(stays.info.generation, b"1", b"2")
        await settle(store, stays, events)
        made = [maker.create(name) for name in ("new", "open", "closed", "at once")]
        new, opened, closed, at_once = (create.info.generation for create in made)
        for create in made[1:]:
            store.write(create)
        store.write(maker.append(closed, b"x", ending=EndingKind.COMPLETED))
        await settle(store, maker.append(opened, b"x"))
        store.write(made[0])
        store.write(maker.append(new, b"x"))
        store.write(maker.append(opened, b"y"))  # waits, and goes with its stream
        await store.delete([at_once], nothing)
        await store.delete([new, opened, closed, mint_generation(1, "", 1)], nothing)
        await store.delete([opened], nothing)  # once more changes nothing

        async def check(store: Store) -> None:
            for create in made:
                assert await _is_gone(store, create.info.name, create.info.generation)
            assert [info.name for info in (await store.list("")).streams] == ["stays"]
            assert await read_all(store, stays.info.generation) == events.events

        return check

    @scenario
    async def test_a_delete_is_told_in_the_moment_it_happens_also_to_those_who_left(
        self, store: Store
    ) -> None:
        maker = Maker()
        for n in range(6):
            create = maker.create(f"s{n}", "relay")
            generation = create.info.generation
            await settle(store, create, maker.append(generation, b"1"))
            happened = asyncio.Event()

            def then(generation: str = generation, happened: asyncio.Event = happened) -> None:
                # It can be written until then: a source says why it ends.
                store.write(maker.append(generation, ending=EndingKind.CANCELLED))
                happened.set()

            deleting = asyncio.ensure_future(store.delete([generation], then))
            if n % 2:
                for _ in range(n):
                    await asyncio.sleep(0)
                deleting.cancel()
            await asyncio.wait([deleting])
            if n % 2:
                # It was given up before it was begun, or it happens whole.
                await settle(store, maker.create(f"after {n}"))
                gone = await _is_gone(store, f"s{n}", generation)
                assert gone is happened.is_set()
                continue
            assert happened.is_set()
            try:
                store.write(maker.append(generation, b"2"))
            except NotFound:
                continue
            raise AssertionError("what was deleted was appended to")

    @lasting
    async def test_a_delete_hides_what_forks_need_and_takes_it_along_with_the_last(
        self, store: Store
    ) -> Check:
        maker = Maker()
        source, other = maker.create("source"), maker.create("other")
        events = maker.append(source.info.generation, b"1", b"2")
        await settle(store, source, events, other, maker.append(other.info.generation, b"1"))
        fork = fork_of(maker, "fork", Offset(source.info.generation, 2))
        last = fork_of(maker, "last", Offset(other.info.generation, 1))
        store.write(fork)
        store.write(last)
        await store.delete([source.info.generation, other.info.generation], nothing)
        await store.delete([last.info.generation], nothing)

        async def check(store: Store) -> None:
            hidden = await store.find("source")
            assert hidden is not None
            assert hidden.deleted
            assert await read_all(store, source.info.generation) == events.events
            assert await store.find("fork") is not None
            for create in (other, last):
                assert await _is_gone(store, create.info.name, create.info.generation)

        return check

    @lasting
    async def test_a_name_that_a_deleted_stream_took_is_nobodys(self, store: Store) -> Check:
        maker = Maker()
        first, second = maker.create("first"), maker.create("second")
        await settle(store, first, second, Alias(first.info.generation, "both"))
        store.write(Alias(second.info.generation, "both"))
        await store.delete([second.info.generation], nothing)

        async def check(store: Store) -> None:
            assert await store.find("both") is None
            assert await store.find("first") is not None

        return check
