"""The rules of stores that concern streams which clients make: writers, forks, expiry, trimming.

Part of ``StoreContract``; inherit that.
"""

# ruff: noqa: S101 - assertions are what a test kit is made of

from __future__ import annotations

from dataclasses import replace

from tailrace.contracts import Append, Create, Delete, Renew, Store, Trim, Writers
from tailrace.errors import NotFound
from tailrace.model import Ending, EndingKind, Event, Offset, Producer
from tailrace.testing.store_model import Maker, is_unknown, made, read_all, settle
from tailrace.testing.store_scenario import Check, StoreMaker, lasting, scenario


def fork_of(maker: Maker, name: str, *ancestry: Offset) -> Create:
    """A fork with one event of its own."""
    made = maker.create(name).info
    at = ancestry[-1].seq
    info = replace(made, ancestry=ancestry, forked_from="source", sub_offset=1, last_seq=at)
    return Create(info, [Event(at + 1, 7, "data", name.encode())])


async def names(store: Store, due: int | None = None) -> list[str]:
    return [info.name for info in (await store.list("", due=due)).streams]


class ClientStreamRules(StoreMaker):
    """Inherited by ``StoreContract``."""

    @lasting
    async def test_a_stream_can_be_made_with_its_events_and_its_ending(self, store: Store) -> Check:
        maker = Maker()
        info = maker.create("s").info
        events = [Event(1, 5, "data", b"a"), Event(2, 5, "data", b"bc")]
        ending = Ending(EndingKind.COMPLETED, "", 3, 5)
        await settle(store, Create(info, events, ending))

        async def check(store: Store) -> None:
            assert await store.find("s") == replace(info.grown(2, 3), ending=ending)
            assert await read_all(store, info.generation) == events

        return check

    @lasting
    async def test_what_a_stream_was_made_with_is_kept(self, store: Store) -> Check:
        maker = Maker()
        made = maker.create("s").info
        infos = [
            replace(made, ttl=60, deadline=1000),
            replace(maker.create("t").info, expires_at=5000, deadline=5000),
        ]
        await settle(store, *map(Create, infos))

        async def check(store: Store) -> None:
            for info in infos:
                assert await store.find(info.name) == info

        return check

    @lasting
    async def test_all_that_is_known_of_a_fork_is_kept_open_or_closed(self, store: Store) -> Check:
        maker = Maker()
        source = maker.create("source")
        middle = maker.fork("middle", source.info, 0)
        infos = []
        for name, ending in (("open", None), ("closed", EndingKind.CUT)):
            fork = maker.fork(name, middle.info, 0)
            info = replace(fork.info, sub_offset=3, ttl=7, deadline=70, content_type="a/b; c=d")
            infos.append(maker.born(replace(fork, info=info), b"x", b"yz", ending=ending))
        await settle(store, source, middle, *infos)

        async def check(store: Store) -> None:
            for create in infos:
                assert await store.find(create.info.name) == made(create)
                assert made(create) in (await store.list("")).streams

        return check

    @scenario
    async def test_every_change_is_seen_from_the_moment_it_is_written(self, store: Store) -> None:
        maker = Maker()
        source = maker.born(maker.create("source"), b"1", b"2", ending=EndingKind.COMPLETED)
        generation = source.info.generation
        fork = maker.born(maker.fork("fork", made(source), 2), b"3", b"4")
        store.write(source)
        assert await store.find("source") == made(source)
        store.write(fork)
        assert await store.find("fork") == made(fork)
        assert await read_all(store, fork.info.generation) == fork.events
        store.write(Renew(generation, 50))
        assert await names(store, due=50) == ["source"]
        store.write(Trim(generation, 1))
        expected = replace(made(source), deadline=50, trimmed=1)
        assert await store.find("source") == expected
        assert await read_all(store, generation) == source.events[1:]
        store.write(Delete(generation))
        assert await store.find("source") == replace(expected, deleted=True)
        assert await names(store, due=50) == []
        number = store.write(Delete(fork.info.generation))
        assert await store.find("source") is None
        assert await is_unknown(store, generation)
        await store.committed(number)
        assert await is_unknown(store, generation)

    @scenario
    async def test_the_latest_word_counts_before_it_is_durable(self, store: Store) -> None:
        maker = Maker()
        creates = [
            maker.born(maker.create(name), b"1", b"2", b"3", ending=EndingKind.COMPLETED)
            for name in ("sooner", "later", "same", "kept")
        ]
        sooner, later, same, kept = (create.info.generation for create in creates)
        fork = maker.fork("fork", made(creates[3]), 3)
        await settle(store, *creates, fork, *(Renew(g, 50) for g in (sooner, later, same, kept)))
        await settle(store, maker.create("time for the store to let go of what has ended"))
        for change in (Renew(sooner, 40), Renew(later, 60), Trim(same, 2), Trim(same, 1)):
            store.write(change)
        store.write(Delete(kept))
        assert "kept" not in await names(store)
        page = await store.list("", due=50, limit=2)
        expected = [
            replace(made(creates[0]), deadline=40),
            replace(made(creates[2]), deadline=50, trimmed=2),
        ]
        assert page.streams == expected
        assert await names(store, due=60) == ["sooner", "same", "later"]
        assert [await store.find(info.name) for info in expected] == expected
        assert await read_all(store, same) == creates[2].events[2:]

    # --- writers ------------------------------------------------------------------------------

    @lasting
    async def test_writers_are_remembered_with_what_they_wrote(self, store: Store) -> Check:
        maker = Maker()
        create = maker.create("s")
        generation = create.info.generation
        store.write(create)
        for change in (
            maker.append(generation, b"a")._replace(producer=Producer("p", 0, 0)),
            maker.append(generation, b"b")._replace(producer=Producer("q", 3, 0), writer_seq="05"),
            maker.append(generation, b"c")._replace(producer=Producer("p", 0, 1)),
            maker.append(generation, b"d")._replace(writer_seq="07"),
            Append(generation, (), None, Producer("p", 1, 0)),
        ):
            store.write(change)
            assert change.producer is None or change.producer in await self._producers(store, "s")
        last = Producer("r", 0, 0, closed=True)
        closing = maker.append(generation, b"e", ending=EndingKind.COMPLETED)
        await settle(store, closing._replace(producer=last))

        async def check(store: Store) -> None:
            found = await store.writers(generation)
            assert found.writer_seq == "07"
            assert set(found.producers) == {Producer("p", 1, 0), Producer("q", 3, 0), last}

        return check

    @staticmethod
    async def _producers(store: Store, name: str) -> tuple[Producer, ...]:
        info = await store.find(name)
        assert info is not None
        return (await store.writers(info.generation)).producers

    @lasting
    async def test_writers_go_with_their_stream(self, store: Store) -> Check:
        maker = Maker()
        create = maker.create("s")
        append = maker.append(create.info.generation, b"a")._replace(
            producer=Producer("p", 0, 0), writer_seq="1"
        )
        again = maker.create("s")
        await settle(store, create, append)
        await settle(store, Delete(create.info.generation), again)

        async def check(store: Store) -> None:
            assert await store.writers(again.info.generation) == Writers()
            try:
                await store.writers(create.info.generation)
            except NotFound:
                return
            raise AssertionError("a deleted stream remembers its writers")

        return check

    # --- forks --------------------------------------------------------------------------------

    @lasting
    async def test_a_fork_has_its_own_events_after_those_it_shares(self, store: Store) -> Check:
        maker = Maker()
        source = maker.create("source")
        await settle(store, source, maker.append(source.info.generation, b"1", b"2"))
        fork = fork_of(maker, "fork", Offset(source.info.generation, 2))
        more = Event(4, 8, "data", b"more")
        await settle(store, fork, Append(fork.info.generation, [more]))

        async def check(store: Store) -> None:
            assert await store.find("fork") == fork.info.grown(2, 8)
            assert await read_all(store, fork.info.generation, after=2) == [*fork.events, more]
            assert await read_all(store, fork.info.generation) == [*fork.events, more]

        return check

    @lasting
    async def test_a_deleted_stream_is_kept_out_of_sight_for_its_forks(self, store: Store) -> Check:
        maker = Maker()
        source = maker.create("source")
        generation = source.info.generation
        append = maker.append(generation, b"1", b"2")
        fork = fork_of(maker, "fork", Offset(generation, 1))
        await settle(store, source, append, fork, Delete(generation))

        async def check(store: Store) -> None:
            found = await store.find("source")
            assert found is not None
            assert found.deleted
            assert await read_all(store, generation) == append.events
            assert await names(store) == ["fork"]
            assert (await store.list("")).total_streams == 1
            try:
                store.write(Append(generation, [Event(3, 9, "data", b"x")]))
            except NotFound:
                return
            raise AssertionError("a deleted stream was appended to")

        return check

    @lasting
    async def test_what_only_deleted_forks_needed_goes_with_the_last_of_them(
        self, store: Store
    ) -> Check:
        maker = Maker()
        a = maker.create("a")
        b = fork_of(maker, "b", Offset(a.info.generation, 0))
        c = fork_of(maker, "c", Offset(a.info.generation, 0), Offset(b.info.generation, 1))
        d = fork_of(maker, "d", Offset(a.info.generation, 0))
        generations = [create.info.generation for create in (a, b, c, d)]
        await settle(store, a, b, c, d)
        for index in (0, 1, 3):
            await settle(store, Delete(generations[index]))
        assert not await is_unknown(store, generations[0])
        assert await is_unknown(store, generations[3])
        await settle(store, Delete(generations[2]))

        async def check(store: Store) -> None:
            for generation in generations:
                assert await is_unknown(store, generation)
            for name in "abcd":
                assert await store.find(name) is None

        return check

    @lasting
    async def test_a_stream_made_forked_and_deleted_in_one_step_is_kept(
        self, store: Store
    ) -> Check:
        maker = Maker()
        source = maker.born(maker.create("source", "relay"), b"1", b"2")
        generation = source.info.generation
        signed = maker.append(generation, b"3")._replace(
            producer=Producer("p", 1, 2), writer_seq="a"
        )
        fork = maker.fork("fork", made(source), 2)
        events = [*source.events, *signed.events]
        await settle(store, source, signed, fork, Delete(generation))
        expected = replace(source.info.grown(3, 3), deleted=True)

        async def check(store: Store) -> None:
            assert await store.find("source") == expected
            assert await read_all(store, generation) == events
            assert await store.writers(generation) == Writers("a", (Producer("p", 1, 2),))
            assert await names(store) == ["fork"]

        return check

    @lasting
    async def test_what_a_step_deletes_with_its_forks_leaves_nothing(self, store: Store) -> Check:
        maker = Maker()
        source = maker.born(maker.create("source"), b"1")
        forks = [maker.born(maker.fork(f"fork{n}", made(source), 1), b"x") for n in range(3)]
        gone = [source.info.generation, *(fork.info.generation for fork in forks)]
        again = maker.born(maker.create("source"), b"another")
        await settle(store, source, *forks, *map(Delete, gone), again)

        async def check(store: Store) -> None:
            for generation in gone:
                assert await is_unknown(store, generation)
            assert await store.find("source") == made(again)
            assert await names(store) == ["source"]

        return check

    @lasting
    async def test_a_fork_keeps_each_of_its_ancestors_and_is_itself_kept(
        self, store: Store
    ) -> Check:
        """Also one of whose events it has none."""
        maker = Maker()
        creates = [maker.born(maker.create("n0"), b"1", b"2")]
        for n in range(1, 4):
            creates.append(maker.fork(f"n{n}", made(creates[-1]), 1))
        await settle(store, *creates)
        for create in creates[:3]:
            await settle(store, Delete(create.info.generation))

        async def check(store: Store) -> None:
            for create in creates:
                info = await store.find(create.info.name)
                assert info == replace(made(create), deleted=create is not creates[3])
            assert await names(store) == ["n3"]

        return check

    @lasting
    async def test_forks_lose_what_their_source_trims(self, store: Store) -> Check:
        maker = Maker()
        source = maker.born(maker.create("source"), b"1", b"2", b"3")
        generation = source.info.generation
        fork = maker.born(maker.fork("fork", made(source), 3), b"4")
        await settle(store, source, fork, Delete(generation), Trim(generation, 2))

        async def check(store: Store) -> None:
            assert await read_all(store, generation) == source.events[2:]
            assert await read_all(store, fork.info.generation) == fork.events

        return check

    # --- time and space -----------------------------------------------------------------------

    @lasting
    async def test_streams_are_due_by_their_latest_deadlines(self, store: Store) -> Check:
        maker = Maker()
        deadlines = {"late": 900, "never": None, "first": 100, "second": 200, "renewed": 50}
        infos = [replace(maker.create(n).info, deadline=at) for n, at in deadlines.items()]
        await settle(store, *map(Create, infos))
        closed = maker.append(infos[2].generation, ending=EndingKind.COMPLETED)
        await settle(store, closed, Renew(infos[4].generation, 500), Renew("0" * 26, 1))

        async def check(store: Store) -> None:
            assert await names(store, due=99) == []
            assert await names(store, due=200) == ["first", "second"]
            assert await names(store, due=500) == ["first", "second", "renewed"]

        return check

    @lasting
    async def test_due_streams_are_paged_by_prefix_and_none_is_deleted(self, store: Store) -> Check:
        maker = Maker()
        creates = [maker.create(f"{'ab'[n % 2]}/{n}") for n in range(6)]
        creates = [
            maker.born(replace(create, info=replace(create.info, deadline=10 - n)), b"x")
            for n, create in enumerate(creates)
        ]
        fork = maker.fork("fork", made(creates[2]), 1)
        await settle(store, *creates, fork)
        closing = maker.append(creates[4].info.generation, ending=EndingKind.COMPLETED)
        await settle(store, closing, Delete(creates[2].info.generation))

        async def check(store: Store) -> None:
            page = await store.list("a/", due=10)
            assert [info.name for info in page.streams] == ["a/4", "a/0"]
            assert (page.total_streams, page.total_size) == (2, 2)
            page = await store.list("", due=9, limit=2)
            assert [info.name for info in page.streams] == ["b/5", "a/4"]

        return check

    @lasting
    async def test_trimmed_events_are_not_read_any_more(self, store: Store) -> Check:
        maker = Maker()
        kept: dict[str, list[Event]] = {}
        for name, ending in (("open", None), ("closed", EndingKind.COMPLETED)):
            create = maker.create(name)
            generation = create.info.generation
            append = maker.append(generation, *[b"x" * 1000] * 600, ending=ending)
            await settle(store, create, append)
            await settle(store, Trim(generation, 400), Trim(generation, 300))
            kept[generation] = list(append.events[400:])
        store.write(Trim("0" * 26, 1))

        async def check(store: Store) -> None:
            for generation, events in kept.items():
                assert await read_all(store, generation) == events
            for name in ("open", "closed"):
                found = await store.find(name)
                assert found is not None
                assert (found.trimmed, found.last_seq) == (400, 600)

        return check
