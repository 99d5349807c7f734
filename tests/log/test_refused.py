"""Streams whose changes the store cannot keep: they fail, alone, and readers are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.errors import NotFound, StoreRefused
from tailrace.log.making import Making
from tailrace.log.reading import read_range
from tailrace.model import DATA, EndingKind
from tailrace.stores import SqliteStore
from tailrace.testing.store_refusal_rules import LONE
from tests.log.harness import Pipe, house, run, until
from tests.stores.sqlite.medium import Disk

BAD = b"what cannot be written"


def store_in(directory: Path) -> SqliteStore:
    disk = Disk()
    disk.poison = BAD
    return SqliteStore(directory / "a.db", connector=disk.connect)


def test_a_fed_stream_that_cannot_be_kept_ends_as_failed_and_no_other_does(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with house(store_in(tmp_path)) as at:
            victim, feeder = at.fed()
            other, others = at.fed()
            feeder.feed(b"kept")
            await victim.committed()
            pipe, beside = Pipe(), Pipe()
            at.follow(victim, pipe)
            at.follow(other, beside)
            victim.feed([(DATA, BAD), (DATA, b"later")])
            others.feed(b"fine")
            await until(lambda: pipe.whole is not None)
            assert victim.ending is not None
            assert (victim.ending.kind, victim.ending.reason) == (EndingKind.FAILED, "storage")
            assert pipe.whole is False
            await other.committed()
            assert beside.whole is None
            await victim.committed()
            name = victim.name
        async with house(store_in(tmp_path)) as at:
            found = await at.catalogue.get(name)
            assert found.ending == victim.ending
            assert [event.data for event in await read_range(found, 0, 1000)] == [b"kept"]

    run(main())


def test_a_fed_stream_that_could_not_even_be_made_is_shown_as_failed_and_then_gone(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with house(store_in(tmp_path)) as at:
            victim, _ = at.fed()
            pipe = Pipe()
            at.follow(victim, pipe)
            victim.feed([(DATA, BAD)])
            await until(lambda: pipe.whole is not None)
            assert victim.ending is not None
            assert victim.ending.kind is EndingKind.FAILED
            with pytest.raises(NotFound):
                await at.catalogue.get(victim.name)
            assert at.store.health().failure == ""

    run(main())


def test_a_client_whose_append_cannot_be_kept_is_told_and_nobody_sees_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(store_in(tmp_path)) as at:
            stream, _ = await at.catalogue.put("mine", Making("text/plain"))
            other, _ = await at.catalogue.put("other", Making("text/plain"))
            await stream.append([(DATA, b"kept")])
            with pytest.raises(StoreRefused):
                await stream.append([(DATA, BAD)])
            await other.append([(DATA, b"fine")])
            assert [event.data for event in await read_range(stream, 0, 1000)] == [b"kept"]
            assert stream.ending is not None
            assert stream.ending.reason == "storage"
            with pytest.raises(StoreRefused):
                await at.catalogue.put("bad", Making("text/plain"), [(DATA, BAD)])
            with pytest.raises(NotFound):
                await at.catalogue.get("bad")

    run(main())


def test_what_an_upstream_says_of_its_end_is_kept_as_text_whatever_it_is() -> None:
    async def main() -> None:
        async with house() as at:
            stream, _ = at.fed()
            stream.end(EndingKind.FAILED, f"a{LONE}b")
            assert stream.ending is not None
            assert stream.ending.reason == "a\ufffdb"
            client, _ = await at.catalogue.put("mine", Making("text/plain"))
            await client.append([], close=True, ending=(EndingKind.FAILED, f"a{LONE}b"))
            assert client.ending is not None
            assert client.ending.reason == "a\ufffdb"

    run(main())
