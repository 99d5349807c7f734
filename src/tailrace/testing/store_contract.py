"""The rules that every store keeps, as tests to inherit.

    class TestMyStore(StoreContract):
        def make_store(self) -> Store:
            return MyStore(...)

Each test gets a fresh store from ``make_store``. A store that outlives its process also sets
``persistent`` and, in ``reopen``, makes another store on the medium of one that was closed.
Collected by pytest as it is; nothing here imports pytest.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tailrace.contracts import Append, Change, Delete, Listing, Store, StoreHealth
from tailrace.errors import NotFound
from tailrace.model import Ending, EndingCode, EndingKind, Event, mint_generation
from tailrace.testing.store_client_rules import ClientStreamRules
from tailrace.testing.store_delete_rules import DeleteRules
from tailrace.testing.store_model import EVERYTHING, Maker, is_unknown, read_all, settle
from tailrace.testing.store_name_rules import NameRules
from tailrace.testing.store_refusal_rules import RefusalRules
from tailrace.testing.store_scenario import scenario


class StoreContract(ClientStreamRules, DeleteRules, NameRules, RefusalRules):
    """Inherit, and say how to make a store."""

    # --- writing and reading ------------------------------------------------------------------

    @scenario
    async def test_events_come_back_as_they_were_written(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        generation = create.info.generation
        events = [
            Event(1, 0, "data", b"plain"),
            Event(2, 1_700_000_000_123, "data", b""),
            Event(3, 1_700_000_000_123, "error", bytes(range(256))),
            Event(4, 1 << 47, "größer\n", "\u2028\U0001f600".encode()),
            Event(5, 1 << 47, "", b"\0\r\n"),
        ]
        await settle(store, create, Append(generation, events[:2]), Append(generation, events[2:]))
        assert await read_all(store, generation) == events

    @scenario
    async def test_a_change_is_seen_from_the_moment_it_is_written(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s", "relay")
        generation = create.info.generation
        store.write(create)
        assert await store.find("s") == create.info
        assert await read_all(store, generation) == []
        append = maker.append(generation, b"one", b"two")
        store.write(append)
        assert await store.read(generation, 0, EVERYTHING) == append.events
        assert await store.find("s") == create.info.grown(2, 6)

    @scenario
    async def test_an_append_with_an_ending_is_seen_whole(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        generation = create.info.generation
        append = maker.append(generation, b"a", b"b", ending=EndingKind.COMPLETED)
        assert append.ending is not None
        store.write(create)
        store.write(append)
        assert await store.find("s") == create.info.grown(2, 2).ended(append.ending)
        assert await read_all(store, generation) == append.events

    @scenario
    async def test_numbers_ascend_and_each_can_be_waited_for(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        numbers = [store.write(create)]
        numbers += [store.write(maker.append(create.info.generation, b"x")) for _ in range(20)]
        assert numbers == sorted(set(numbers))
        await asyncio.gather(*(store.committed(number) for number in reversed(numbers)))
        await store.committed(numbers[0])
        assert store.health() == StoreHealth(uncommitted=0, congested=False)

    @scenario
    async def test_waiting_can_be_given_up_without_harm_to_others(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        number = store.write(create)
        impatient = asyncio.ensure_future(store.committed(number))
        patient = asyncio.ensure_future(store.committed(number))
        await asyncio.sleep(0)
        impatient.cancel()
        await patient
        assert await store.find("s") == create.info

    @scenario
    async def test_a_read_keeps_its_limit_but_gives_one_event_at_least(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        generation = create.info.generation
        append = maker.append(generation, b"x" * 10, b"y" * 10, b"z" * 10)
        for stage in ("new", "closed"):
            if stage == "new":
                await settle(store, create, append)
            else:
                await settle(store, maker.append(generation, ending=EndingKind.COMPLETED))
            for limit, most in ((1, 1), (10, 1), (19, 1), (20, 2), (29, 2), (30, 3)):
                found = await store.read(generation, 0, limit)
                assert 1 <= len(found) <= most, (stage, limit)
                assert found == append.events[: len(found)]

    @scenario
    async def test_any_place_and_limit_leads_through_the_same_events(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        generation = create.info.generation
        append = maker.append(generation, *(b"%d" % n * (n % 7) for n in range(50)))
        await settle(store, create, append)
        for closed in (False, True):
            if closed:
                await settle(store, maker.append(generation, ending=EndingKind.CUT))
            for after in range(51):
                found = await read_all(store, generation, limit=5, after=after)
                assert found == append.events[after:]
            assert await store.read(generation, 50, 1) == []
            assert await store.read(generation, 51, 1) == []
            assert await store.read(generation, 10**15, 1) == []

    @scenario
    async def test_an_event_of_ten_megabytes_is_kept(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        generation = create.info.generation
        large = bytes(range(256)) * (10_000_000 // 256)
        appends = [maker.append(generation, b"before", large, b"after")]
        appends.append(maker.append(generation, large, ending=EndingKind.COMPLETED))
        await settle(store, create, *appends)
        found = await read_all(store, generation, limit=65536)
        assert [event.data for event in found] == [b"before", large, b"after", large]

    @scenario
    async def test_every_ending_is_kept(self, store: Store) -> None:
        maker = Maker()
        expected = {}
        for kind in EndingKind:
            create = maker.create(kind.value)
            ending = Ending(kind, f"because {kind} – ü", 7, 1 << 46, EndingCode.REPORTED)
            await settle(store, create, Append(create.info.generation, [], ending))
            expected[kind.value] = create.info.ended(ending)
        for name, info in expected.items():
            assert await store.find(name) == info
            assert await store.read(info.generation, 0, 1) == []

    @scenario
    async def test_what_is_not_there_is_said_to_be_missing(self, store: Store) -> None:
        stranger = mint_generation(1, "", 1)
        assert await store.find("nobody") is None
        assert await is_unknown(store, stranger)
        assert await store.list("") == Listing([], 0, 0)

    # --- listing ------------------------------------------------------------------------------

    @scenario
    async def test_a_listing_is_newest_first_and_paged(self, store: Store) -> None:
        maker = Maker()
        infos = []
        for n in range(25):
            create = maker.create(f"chat/{n}")
            append = maker.append(create.info.generation, b"x" * n)
            store.write(create)
            number = store.write(append)
            infos.append(create.info.grown(1, n))
            if n % 2:
                ended = maker.append(create.info.generation, ending=EndingKind.COMPLETED)
                number = store.write(ended)
                assert ended.ending is not None
                infos[-1] = infos[-1].ended(ended.ending)
            if n % 5 == 0:
                await store.committed(number)
        infos.reverse()
        before, found = "", []
        while True:
            page = await store.list("chat/", before=before, limit=4)
            assert (page.total_streams, page.total_size) == (25, sum(range(25)))
            if not page.streams:
                break
            assert len(page.streams) <= 4
            found += page.streams
            before = page.streams[-1].generation
        assert found == infos

    @scenario
    async def test_a_prefix_is_matched_byte_for_byte(self, store: Store) -> None:
        maker = Maker()
        names = ["chat", "chat/", "chat/a", "chat/é", "chat0", "Chat/a", "cha", "x%_*?", "x%y"]
        for name in names:
            create = maker.create(name)
            closing = maker.append(create.info.generation, b"1", ending=EndingKind.COMPLETED)
            await settle(store, create, closing)
        await settle(store, maker.create("chat/open"))
        for prefix in ("", "c", "chat", "chat/", "chat/a", "x%", "x%_", "z"):
            page = await store.list(prefix)
            expected = {name for name in [*names, "chat/open"] if name.startswith(prefix)}
            assert {info.name for info in page.streams} == expected
            assert page.total_streams == len(expected)
            assert page.total_size == len(expected - {"chat/open"})

    @scenario
    async def test_the_longest_closed_come_first_when_asked_for(self, store: Store) -> None:
        maker = Maker()
        creates = [maker.create(f"chat/{n}") for n in range(6)]
        await settle(store, *creates)
        order = [3, 0, 5, 1]
        for time, n in enumerate(order, 100):
            ending = Ending(EndingKind.COMPLETED, "", 1, time)
            await settle(store, Append(creates[n].info.generation, [], ending))
        page = await store.list("chat/", oldest_closed=True)
        assert [info.name for info in page.streams] == [f"chat/{n}" for n in order]
        assert page.total_streams == 6
        page = await store.list("chat/", oldest_closed=True, limit=2)
        assert [info.name for info in page.streams] == ["chat/3", "chat/0"]

    # --- deleting -----------------------------------------------------------------------------

    @scenario
    async def test_a_deleted_stream_is_gone_at_once(self, store: Store) -> None:
        maker = Maker()
        for state in ("unwritten", "open", "closed"):
            create = maker.create(state)
            generation = create.info.generation
            changes: list[Change] = [create, maker.append(generation, b"secret")]
            if state == "closed":
                changes.append(maker.append(generation, ending=EndingKind.COMPLETED))
            if state == "unwritten":
                for change in changes:
                    store.write(change)
            else:
                await settle(store, *changes)
            number = store.write(Delete(generation))
            for _ in range(2):
                assert await store.find(state) is None
                assert await is_unknown(store, generation)
                assert await store.list("") == Listing([], 0, 0)
                await store.committed(number)

    @scenario
    async def test_a_name_made_again_is_another_stream(self, store: Store) -> None:
        maker = Maker()
        older = ""
        for n in range(4):
            create = maker.create("again")
            generation = create.info.generation
            assert generation > older
            append = maker.append(generation, b"%d" % n)
            store.write(create)
            number = store.write(append)
            if n % 2:
                store.write(maker.append(generation, ending=EndingKind.COMPLETED))
                await store.committed(number)
            assert await read_all(store, generation) == append.events
            if older:
                assert await is_unknown(store, older)
            found = await store.find("again")
            assert found is not None
            assert found.generation == generation
            assert (await store.list("again")).total_streams == 1
            store.write(Delete(generation))
            older = generation

    @scenario
    async def test_deleting_what_is_not_there_changes_nothing(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        await settle(store, create, Delete(mint_generation(1, "", 1)))
        assert (await store.list("")).streams == [create.info]

    @scenario
    async def test_a_reader_beside_a_delete_gets_no_hole(self, store: Store) -> None:
        maker = Maker()
        for n in range(20):
            create = maker.create(f"s{n}")
            generation = create.info.generation
            append = maker.append(generation, *(b"%d" % i for i in range(100)))
            closing = maker.append(generation, ending=EndingKind.COMPLETED)
            await settle(store, create, append, closing)
            readings = [
                asyncio.ensure_future(read_all(store, generation, limit=10)) for _ in range(5)
            ]
            await asyncio.sleep(0.0005 * (n % 4))
            await settle(store, Delete(generation))
            for result in await asyncio.gather(*readings, return_exceptions=True):
                assert isinstance(result, NotFound) or result == append.events

    # --- together -----------------------------------------------------------------------------

    @scenario
    async def test_many_streams_grow_side_by_side_under_their_readers(self, store: Store) -> None:
        maker = Maker()
        creates = [maker.create(f"s{n}") for n in range(20)]
        generations = [create.info.generation for create in creates]
        for create in creates:
            store.write(create)
        written: dict[str, list[Event]] = {generation: [] for generation in generations}

        async def follow(generation: str) -> list[Event]:
            found: list[Event] = []
            while len(found) < 30:
                after = found[-1].seq if found else 0
                found += await store.read(generation, after, 4000)
                # A reader waits for the doorbell; this one has none, and must not spin.
                await asyncio.sleep(0.002)
            return found

        async def produce(generation: str) -> None:
            for n in range(10):
                append = maker.append(generation, b"%d" % n, b"x" * 997 * n, b"")
                number = store.write(append)
                written[generation] += append.events
                if n % 3 == 0:
                    await store.committed(number)
                await asyncio.sleep(0)
            store.write(maker.append(generation, ending=EndingKind.COMPLETED))

        followers = [asyncio.ensure_future(follow(g)) for g in generations]
        await asyncio.gather(*(produce(generation) for generation in generations))
        assert await asyncio.gather(*followers) == [written[g] for g in generations]
        for generation in generations:
            assert await read_all(store, generation, limit=5000) == written[generation]

    # --- stores that outlive their process ------------------------------------------------------

    def test_what_was_committed_is_there_after_reopening(self) -> None:
        if self.persistent:
            asyncio.run(self._reopened())

    async def _reopened(self) -> None:
        maker = Maker()
        store = self.make_store()
        await store.open()
        creates = {
            name: maker.create(name, source)
            for name, source in (("open", ""), ("sourced", "relay"), ("closed", "relay"))
        }
        owned = replace(creates["sourced"].info, owner="one of them")
        creates["sourced"] = replace(creates["sourced"], info=owned)
        gone = maker.create("gone", "relay")
        generation = {name: create.info.generation for name, create in creates.items()}
        written = {name: [maker.append(g, b"a", b"b" * 1000)] for name, g in generation.items()}
        for create in (*creates.values(), gone):
            store.write(create)
        for appends in written.values():
            store.write(appends[0])
        store.write(maker.append(generation["closed"], ending=EndingKind.FAILED))
        store.write(Delete(gone.info.generation))
        hidden = maker.create("hidden", "relay")
        for change in (hidden, maker.fork("fork", hidden.info, 0), Delete(hidden.info.generation)):
            store.write(change)
        before = await store.list("")
        await store.close()

        for _ in range(2):
            store = self.reopen(store)
            unfinished = await store.open()
            assert [(info.name, info.owner) for info in unfinished] == [("sourced", "one of them")]
            assert unfinished[0].last_seq == written["sourced"][-1].events[-1].seq
            assert await store.list("") == before
            for name, appends in written.items():
                events = [event for append in appends for event in append.events]
                assert await read_all(store, generation[name]) == events
            assert await is_unknown(store, gone.info.generation)
            for name in ("open", "sourced"):
                written[name].append(maker.append(generation[name], b"more"))
                store.write(written[name][-1])
            before = await store.list("")
            await store.close()
