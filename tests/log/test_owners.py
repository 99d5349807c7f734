"""Two catalogues on one store: each ends only the streams whose sources it ran."""

from __future__ import annotations

from tailrace.log.catalogue import Catalogue
from tailrace.model import EndingKind
from tailrace.stores.memory import MemoryStore
from tests.log.harness import Feeder, house, run


def test_each_of_two_catalogues_on_one_store_ends_only_its_own_streams() -> None:
    async def test() -> None:
        store = MemoryStore()
        async with house(store) as h:
            ends, goes_on = (
                Catalogue(h.machinery, patience=600.0, owner=owner) for owner in ("a", "b")
            )
            names = {}
            for catalogue in (ends, goes_on):
                stream = catalogue.create_secret("chat/", "text/plain", Feeder.kind)
                Feeder(stream).feed(b"shown")
                names[catalogue] = stream.name
            restarted = Catalogue(h.machinery, patience=600.0, owner="a")
            await restarted.open()
            ended = await store.find(names[ends])
            running = await store.find(names[goes_on])
            assert ended is not None
            assert ended.ending is not None
            assert ended.ending.kind is EndingKind.INTERRUPTED
            assert running is not None
            assert (running.ending, running.owner) == (None, "b")

    run(test())


def test_a_stream_that_clients_fill_has_no_owner() -> None:
    async def test() -> None:
        async with house() as h:
            catalogue = Catalogue(h.machinery, patience=600.0, owner="a")
            stream = await catalogue.create("notes", "text/plain")
            assert stream.info.owner == ""

    run(test())
