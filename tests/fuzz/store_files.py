"""Fuzzer ``stores``: damaged files of a store, which is then opened.

What may come of it:

    what is damaged                                        the store
    -----------------------------------------------------  ------------------------------------
    the log's end is missing, or its last commit is torn   opens with what was before the damage
    a commit of the log that whole ones follow             refuses
    the shared-memory index, the lock's content            opens with everything
    the file                                               opens with everything, refuses, or
                                                           refuses to read the streams concerned

A refusal is a StartupError of one line, and leaves the file and its log as they were. What an
opened store shows is the state after one of the acknowledged changes, never a mixture; it takes
new streams, and has them after the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tailrace.errors import StartupError, StoreError
from tailrace.stores import SqliteStore
from tailrace.testing.store_model import Maker, settle
from tests.fuzz import mutation
from tests.fuzz.campaign import Finding, fewer
from tests.fuzz.logs import no_tracebacks
from tests.fuzz.store_images import (
    DB,
    SHM,
    WAL,
    Files,
    Held,
    History,
    Image,
    State,
    commits,
    frame_size,
    make_histories,
    read_files,
    read_state,
    salts,
    write_files,
)

LOCK: Final = "a.db.lock"
# An open takes milliseconds; this only bounds a hang.
_PATIENCE: Final = 30.0
_PAGE: Final = 4096
_FRAME: Final = 24 + _PAGE


@dataclass(frozen=True)
class Damage:
    """Bytes of one file that are replaced: ``data[at:at + size]`` become ``new``."""

    file: str
    at: int
    size: int
    new: bytes

    def apply(self, files: Files) -> None:
        data = files.get(self.file, b"")
        files[self.file] = data[: self.at] + self.new + data[self.at + self.size :]


@dataclass(frozen=True)
class Damaged:
    """An image of a history and what happens to its files."""

    history: str
    image: int
    damages: tuple[Damage, ...]
    missing: tuple[str, ...] = ()
    """Files that are removed."""


class StoreFuzzer:
    """See the module."""

    name = "stores"

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "case"
        self._directory.mkdir()
        made = directory / "made"
        made.mkdir()
        self.histories = {history.name: history for history in make_histories(made)}
        self._seen: Counter[str] = Counter()

    # --- generating ---------------------------------------------------------------------------

    def make(self, dice: random.Random) -> Damaged:
        history = dice.choice(list(self.histories.values()))
        # Late images hold more that can be lost.
        image = max(dice.randrange(len(history.images)) for _ in range(2))
        files = dict(history.images[image].files)
        if dice.random() < 0.03:
            missing = dice.choice([name for name in (WAL, SHM) if name in files] or [SHM])
            return Damaged(history.name, image, (), (missing,))
        damages = []
        for _ in range(dice.choice((1, 1, 1, 1, 2))):
            damage = _damage(dice, files)
            damage.apply(files)
            damages.append(damage)
        return Damaged(history.name, image, tuple(damages))

    def smaller(self, case: Damaged) -> Iterator[Damaged]:
        for damages in fewer(case.damages):
            yield replace(case, damages=damages)
        for at, damage in enumerate(case.damages):
            for size in {damage.size // 2, 1} - {damage.size, 0}:
                if len(damage.new) == damage.size:
                    less = replace(damage, size=size, new=damage.new[:size])
                    rest = (*case.damages[:at], less, *case.damages[at + 1 :])
                    yield replace(case, damages=rest)
        for image in range(case.image):
            yield replace(case, image=image)

    def show(self, case: Damaged) -> str:
        lines = [f"    history {case.history}, image {case.image}"]
        image = self.histories[case.history].images[case.image]
        lines += [f"    {name}: {len(data)} bytes" for name, data in image.files.items()]
        lines += [f"    {name} is removed" for name in case.missing]
        for each in case.damages:
            new = each.new if len(each.new) <= 40 else each.new[:40] + b"\xe2\x80\xa6"
            lines.append(f"    {each.file}[{each.at}:{each.at + each.size}] becomes {new!r}")
        return "\n".join(lines)

    def renew(self) -> None:
        """Nothing is left of a case."""

    def statistics(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self._seen.items()))

    # --- judging ------------------------------------------------------------------------------

    def check(self, case: Damaged) -> None:
        history = self.histories[case.history]
        files = dict(history.images[case.image].files)
        for damage in case.damages:
            damage.apply(files)
        for name in case.missing:
            files.pop(name, None)
        write_files(self._directory, files)
        with no_tracebacks():
            asyncio.run(self._open(history, case.image, files))

    async def _open(self, history: History, image: int, files: Files) -> None:
        store = SqliteStore(self._directory / DB)
        try:
            async with asyncio.timeout(_PATIENCE):
                await store.open()
        except StartupError as error:
            self._refused(error, files, may_refuse(history.images[image], files))
            return
        except TimeoutError:
            raise Finding("opening hangs") from None
        except Exception as error:
            raise Finding(f"opening raises {type(error).__name__}", str(error)) from error
        try:
            found = await read_state(store)
            self._opened(history, image, files, found)
            if not await self._still_writes(store, history.images[image], files):
                return
        except Finding:
            raise
        except Exception as error:
            raise Finding(f"reading raises {type(error).__name__}", str(error)) from error
        finally:
            await store.close()
        await self._has_what_was_written()

    def _refused(self, error: StartupError, files: Files, allowed: bool) -> None:
        self._seen["refused"] += 1
        message = str(error)
        if "\n" in message or str(self._directory) not in message:
            raise Finding("a refusal that does not say what in one line", message)
        left = read_files(self._directory)
        for name in (DB, WAL):
            # SQLite makes an empty log when it opens a file, which says nothing.
            if left.get(name, b"") != files.get(name, b""):
                raise Finding(f"a refusal changed {name}", message)
        if not allowed:
            raise Finding("a store is refused that a crash can leave behind", message)

    def _opened(
        self, history: History, image: int, files: Files, found: Mapping[str, object]
    ) -> None:
        states = [each.state for each in history.images[: image + 1]]
        least = least_kept(history, image, files)
        whole = history.images[image].files.get(WAL, b"")
        if not files.get(DB) and all(damaged_commits(whole, files.get(WAL, b""))):
            least = 0  # an empty file, whose log has no commit, is a new store
            states = [{}, *states[1:]]
        fits = [n for n, state in enumerate(states) if agrees(found, state)]
        if not fits:
            raise Finding("an opened store shows what never was", _difference(found, states[-1]))
        if fits[-1] < least:
            raise Finding(
                "acknowledged changes are gone and the store serves",
                f"it has {fits[-1]} of {image}, {least} at least were to be kept; "
                + _difference(found, states[-1]),
            )
        self._seen["whole" if fits[-1] == image else "without the torn end"] += 1

    async def _still_writes(self, store: SqliteStore, image: Image, files: Files) -> bool:
        maker = Maker()
        maker.resume(max((i.generation for i in (await store.list("")).streams), default=""))
        create = maker.create("afterwards")
        try:
            async with asyncio.timeout(_PATIENCE):
                await settle(store, create, maker.append(create.info.generation, b"x"))
        except TimeoutError:
            raise Finding("a write hangs") from None
        except StoreError:
            if files.get(DB) == image.files.get(DB):
                raise
            self._seen["refused to write"] += 1
            return False
        return True

    async def _has_what_was_written(self) -> None:
        again = SqliteStore(self._directory / DB)
        try:
            await again.open()
        except StartupError as error:
            raise Finding("a store that opened is refused the next time", str(error)) from error
        try:
            if await again.find("afterwards") is None:
                raise Finding("what was acknowledged after the opening is gone")
        finally:
            await again.close()


def agrees(found: Mapping[str, object], state: State) -> bool:
    """Whether a store shows this state, but for streams that it says it cannot read."""
    return found.keys() == state.keys() and all(
        not isinstance(held, Held) or held == state[name] for name, held in found.items()
    )


def _difference(found: Mapping[str, object], state: State) -> str:
    names = sorted(found.keys() ^ state.keys())
    differ = [
        f"{name}: {held} is not {state[name]}"
        for name, held in found.items()
        if isinstance(held, Held) and name in state and held != state[name]
    ]
    return f"only in one: {names}; {differ}"[:600]


def damaged_commits(whole: bytes, wal: bytes) -> list[bool]:
    """Of each commit of the whole log, whether it cannot be read in the other one."""
    broken_head = whole[:32] != wal[:32]
    return [broken_head or whole[c.start : c.end] != wal[c.start : c.end] for c in commits(whole)]


def is_torn(whole: bytes, wal: bytes) -> bool:
    """Whether a crash may explain the difference: no whole commit follows a damaged one.

    Where the head of a commit's last frame is damaged, the mark that ends the commit is: the last
    commit behind it may then be the rest of the same one, which was torn in its middle.
    """
    found = list(commits(whole))
    damaged = [whole[c.start : c.end] != wal[c.start : c.end] for c in found]
    if whole[:32] != wal[:32]:
        return all(damaged)
    if damaged[-2:] == [True, False]:
        mark = found[-2].end - frame_size(whole)
        damaged[-1] = whole[mark : mark + 24] != wal[mark : mark + 24]
    return damaged == sorted(damaged)


def least_kept(history: History, image: int, files: Files) -> int:
    """The first image whose state a store may show that is made of these files."""
    whole = history.images[image].files.get(WAL, b"")
    wal = files.get(WAL, b"")
    damaged = damaged_commits(whole, wal)
    if not any(damaged):
        return image
    # In the middle of the log: it may be mended whole or refused, never shortened in silence.
    # The last commit alone may be torn even where its first bytes are what is damaged.
    if not is_torn(whole, wal):
        return image
    intact = next(c.start for c, bad in zip(commits(whole), damaged, strict=True) if bad)
    kept = 0
    for number, each in enumerate(history.images[: image + 1]):
        other = each.files.get(WAL, b"")
        ends = [commit.end for commit in commits(other)]
        if salts(other) != salts(whole) or not ends or ends[-1] <= intact:
            kept = number
    return kept


def may_refuse(image: Image, files: Files) -> bool:
    """Whether these files are more than a crash can explain, or no longer hold everything."""
    if files.get(DB) != image.files.get(DB):
        return True
    whole, wal = image.files.get(WAL, b""), files.get(WAL, b"")
    return not (whole.startswith(wal) or wal.startswith(whole))


def _damage(dice: random.Random, files: Files) -> Damage:
    names = [name for name in (DB, WAL, WAL, WAL, SHM, LOCK) if files.get(name) or name == LOCK]
    name = dice.choice(names)
    data = files.get(name, b"")
    if not data:
        return Damage(name, 0, 0, dice.randbytes(dice.randrange(50)))
    kind = dice.choice(_KINDS)
    if kind == "flip":
        at = _place(dice, name, data)
        return Damage(name, at, 1, bytes([data[at] ^ 1 << dice.randrange(8)]))
    if kind == "cut":
        at = _place(dice, name, data)
        return Damage(name, at, len(data) - at, b"")
    if kind == "empty":
        return Damage(name, 0, len(data), b"")
    if kind == "longer":
        return Damage(name, len(data), 0, dice.randbytes(dice.choice((1, 100, _FRAME, 9000))))
    if kind == "swap":
        return _swapped(dice, name, data)
    at = _place(dice, name, data)
    size = min(len(data) - at, dice.choice((1, 4, 16, 512, _PAGE, _FRAME, len(data))))
    fresh = bytes(size) if kind == "zeros" else dice.randbytes(size)
    if kind == "repeat":
        fresh = mutation.repeat(dice, data[at : at + size])[: len(data) - at]
        return Damage(name, at, len(fresh), fresh)
    return Damage(name, at, size, fresh)


_KINDS: Final = (
    "flip", "flip", "flip", "flip", "cut", "cut", "empty", "longer", "swap", "swap", "zeros",
    "rubbish", "repeat",
)  # fmt: skip


def _place(dice: random.Random, name: str, data: bytes) -> int:
    """Somewhere, or near where something begins."""
    unit = {DB: _PAGE, WAL: _FRAME}.get(name, 32)
    head = 32 if name == WAL else 0
    if dice.random() < 0.5:
        return dice.randrange(len(data))
    pages = max(1, (len(data) - head) // unit)
    at = head + dice.randrange(pages) * unit + dice.choice((0, 0, 1, 4, 8, 16, 24, 30, 100, -1))
    return min(max(at, 0), len(data) - 1)


def _swapped(dice: random.Random, name: str, data: bytes) -> Damage:
    """Two pages or frames change places; what is between them stays."""
    unit, head = (_FRAME, 32) if name == WAL else (_PAGE, 0)
    count = (len(data) - head) // unit
    if count < 2:
        return Damage(name, 0, 1, bytes([data[0] ^ 0xFF]))
    first, second = sorted(dice.sample(range(count), 2))
    a, b = head + first * unit, head + second * unit
    new = data[b : b + unit] + data[a + unit : b] + data[a : a + unit]
    return Damage(name, a, len(new), new)


@contextlib.contextmanager
def opened() -> Iterator[StoreFuzzer]:
    """The fuzzer, with its files in memory where the system offers that."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield StoreFuzzer(Path(directory))
