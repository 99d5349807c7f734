"""The rules of stores that concern further names and notes.

Part of ``StoreContract``; inherit that.
"""

# ruff: noqa: S101 - assertions are what a test kit is made of

from __future__ import annotations

from dataclasses import replace

from tailrace.contracts import Alias, Change, Create, Delete, Note, Store
from tailrace.model import EndingKind, StreamInfo, mint_generation
from tailrace.testing.store_model import Maker, made, read_all, settle
from tailrace.testing.store_scenario import Check, StoreMaker, lasting, scenario

_STRANGER = mint_generation(1, "", 1)


class NameRules(StoreMaker):
    """Inherited by ``StoreContract``."""

    # --- further names --------------------------------------------------------------------------

    @lasting
    async def test_a_stream_is_found_by_its_further_names_open_or_closed(
        self, store: Store
    ) -> Check:
        maker = Maker()
        creates = [
            maker.born(maker.create("open", "relay"), b"1", b"2"),
            maker.born(maker.create("closed"), b"3", ending=EndingKind.COMPLETED),
        ]
        for create in creates:
            store.write(create)
            name = create.info.name
            for further in (f"{name}/1", f"{name}/größer\u2028", "x" * 300 + name):
                store.write(Alias(create.info.generation, further))
                assert await store.find(further) == made(create)
        await settle(store, *(Alias(c.info.generation, f"{c.info.name}/late") for c in creates))

        async def check(store: Store) -> None:
            for create in creates:
                name = create.info.name
                for further in ("/1", "/größer\u2028", "/late"):
                    assert await store.find(name + further) == made(create)
                assert await store.find("x" * 300 + name) == made(create)
            assert await store.find("open/") is None
            page = await store.list("open")
            assert page.streams == [made(creates[0])]
            assert page.total_streams == 1

        return check

    @lasting
    async def test_what_happens_to_a_stream_is_seen_by_its_further_name(
        self, store: Store
    ) -> Check:
        maker = Maker()
        create = maker.create("s", "relay")
        generation = create.info.generation
        await settle(store, create, Alias(generation, "x"))
        expected = create.info
        for ending in (None, EndingKind.CUT):
            append = maker.append(generation, b"abc", ending=ending)
            store.write(append)
            expected = replace(expected.grown(1, 3), ending=append.ending)
            assert await store.find("x") == expected
        await settle(store, Note(generation, b"{}"))

        async def check(store: Store) -> None:
            assert await store.find("x") == replace(expected, note=b"{}")
            assert len(await read_all(store, generation)) == 2

        return check

    @lasting
    async def test_the_latest_taker_has_a_further_name_and_takes_it_along(
        self, store: Store
    ) -> Check:
        maker = Maker()
        infos = await self._closed_and_open(store, maker)
        for info in infos:
            store.write(Alias(info.generation, "taken"))
            store.write(Alias(info.generation, "gone"))
            assert await store.find("taken") == info
        *others, last = infos
        store.write(Delete(others[0].generation))
        assert await store.find("taken") == last
        for info in others[1:]:
            store.write(Alias(info.generation, "gone"))
            assert await store.find("gone") == info
            await settle(store, Delete(info.generation))
            assert await store.find("gone") is None

        async def check(store: Store) -> None:
            assert await store.find("taken") == last
            assert await store.find("gone") is None, "it was taken from the last one"

        return check

    @staticmethod
    async def _closed_and_open(store: Store, maker: Maker) -> list[StreamInfo]:
        """Two streams that have closed long ago, one just now, two that are open."""
        endings = [EndingKind.COMPLETED, EndingKind.CUT, EndingKind.COMPLETED, None, None]
        creates = [
            maker.born(maker.create(f"s{n}"), b"x", ending=ending)
            for n, ending in enumerate(endings)
        ]
        await settle(store, *creates[:2])
        for n in range(2):
            await settle(store, maker.create(f"time to let go of what has ended, {n}"))
        for create in creates[2:]:
            store.write(create)
        return [made(create) for create in creates]

    @lasting
    async def test_a_name_taken_and_lost_in_one_step_is_nobodys(self, store: Store) -> Check:
        maker = Maker()
        first, *others = await self._closed_and_open(store, maker)
        names = [f"x{n}" for n in range(len(others) + 1)]
        await settle(store, *(Alias(first.generation, name) for name in names))
        brief = maker.create("brief")
        store.write(brief)
        for info, name in zip([*others, brief.info], names, strict=True):
            store.write(Alias(info.generation, name))
            number = store.write(Delete(info.generation))
        await store.committed(number)

        async def check(store: Store) -> None:
            for name in names:
                assert await store.find(name) is None

        return check

    @lasting
    async def test_nobody_loses_a_name_to_a_stream_that_is_not_there(self, store: Store) -> Check:
        maker = Maker()
        infos = await self._closed_and_open(store, maker)
        gone, kept = infos[0], infos[1]
        hidden = maker.born(maker.create("hidden"), b"1")
        fork = maker.fork("fork", made(hidden), 1)
        await settle(store, Delete(gone.generation), hidden, fork)
        store.write(Delete(hidden.info.generation))
        await settle(store, Alias(kept.generation, "committed"))
        store.write(Alias(kept.generation, "not yet"))
        names = ("committed", "not yet")
        for generation in (_STRANGER, gone.generation, hidden.info.generation):
            for name in (*names, "nobody's"):
                store.write(Alias(generation, name))
            store.write(Delete(generation))
            assert [await store.find(name) for name in names] == [kept, kept]
            assert await store.find("nobody's") is None
            store.write(Alias(kept.generation, "not yet"))
        await settle(store, Delete(_STRANGER))

        async def check(store: Store) -> None:
            assert [await store.find(name) for name in names] == [kept, kept]
            assert await store.find("nobody's") is None

        return check

    @lasting
    async def test_a_streams_own_name_goes_before_a_further_one(self, store: Store) -> Check:
        maker = Maker()
        for state in ("open", "closed"):
            ending = EndingKind.COMPLETED if state == "closed" else None
            own = maker.born(maker.create(f"{state}/own"), b"1", ending=ending)
            other = maker.born(maker.create(f"{state}/other"), b"2", ending=ending)
            await settle(store, other, Alias(other.info.generation, f"{state}/own"))
            assert await store.find(f"{state}/own") == made(other)
            store.write(own)
            assert await store.find(f"{state}/own") == made(own)
            await settle(store, maker.create(f"{state}/and time"))
            assert await store.find(f"{state}/own") == made(own)
            store.write(Delete(own.info.generation))
            assert await store.find(f"{state}/own") == made(other)
            again = maker.born(maker.create(f"{state}/own"), b"3", ending=ending)
            await settle(store, again, Alias(again.info.generation, f"{state}/other"))

        async def check(store: Store) -> None:
            for name in ("open/own", "open/other", "closed/own", "closed/other"):
                found = await store.find(name)
                assert found is not None
                assert found.name == name

        return check

    @lasting
    async def test_a_stream_that_is_kept_for_forks_has_neither_further_name_nor_note(
        self, store: Store
    ) -> Check:
        maker = Maker()
        sources = []
        for name, ending in (("open", None), ("closed", EndingKind.COMPLETED)):
            source = maker.born(maker.create(name), b"1", ending=ending)
            generation = source.info.generation
            fork = maker.fork(f"fork of {name}", made(source), 1)
            await settle(
                store, source, fork, Alias(generation, f"{name}/x"), Note(generation, b"1")
            )
            await settle(store, maker.create(f"time to let go of {name}"))
            changes: list[Change] = [Alias(generation, f"{name}/y"), Note(generation, b"2")]
            changes += [Delete(generation), Alias(generation, f"{name}/z"), Note(generation, b"3")]
            for change in changes:
                number = store.write(change)
            for further in "xyz":
                assert await store.find(f"{name}/{further}") is None
            await store.committed(number)
            sources.append(replace(made(source), deleted=True))

        async def check(store: Store) -> None:
            for info in sources:
                assert await store.find(info.name) == info
                for further in "xyz":
                    assert await store.find(f"{info.name}/{further}") is None

        return check

    # --- notes ----------------------------------------------------------------------------------

    @lasting
    async def test_the_last_note_is_kept_whether_the_stream_has_ended_or_not(
        self, store: Store
    ) -> Check:
        maker = Maker()
        ended = EndingKind.COMPLETED
        noted = [maker.create("born"), maker.create("open"), maker.create("closed")]
        noted = [
            maker.born(replace(c, info=replace(c.info, note=b"first")), b"x", ending=ending)
            for c, ending in zip(noted, (None, None, ended), strict=True)
        ]
        await settle(store, *noted)
        await settle(store, maker.create("time to let go of what has ended"))
        last = bytes(range(256)) * 100
        for create in noted[1:]:
            for note in (b"", b"second", last):
                store.write(Note(create.info.generation, note))
                found = await store.find(create.info.name)
                assert found == replace(made(create), note=note)
                assert found in (await store.list("")).streams
        expected = [made(noted[0]), *(replace(made(create), note=last) for create in noted[1:])]
        await settle(store, maker.append(noted[1].info.generation, b"y"))
        expected[1] = expected[1].grown(1, 1)

        async def check(store: Store) -> None:
            for info in expected:
                assert await store.find(info.name) == info
            page = await store.list("")
            assert page.streams[-3:] == expected[::-1]
            closed = await store.list("closed", oldest_closed=True)
            assert closed.streams == expected[2:]

        return check

    @scenario
    async def test_a_note_for_a_stream_that_is_not_there_is_nothing(self, store: Store) -> None:
        maker = Maker()
        create = maker.create("s")
        again = maker.create("s")
        await settle(store, Note(_STRANGER, b"1"), create, Delete(create.info.generation))
        await settle(store, Note(create.info.generation, b"2"), Create(again.info))
        assert await store.find("s") == again.info
        assert (await store.list("")).streams == [again.info]
