"""SQLite's write-ahead log, looked at before SQLite opens it. Sans-I/O.

SQLite reads a log up to the first frame that is not as it was written, and forgets the rest: right
after a power cut in the middle of a commit, and a silent loss of everything after a flipped bit.
Since each commit is synced before the next one begins, the two can be told apart:

    after the last commit that can be read there is       what it is
    ---------------------------------------------------   ------------------------------------
    nothing, or frames of an earlier generation            the end
    frames of at most one commit                           a commit that a crash cut short
    frames of two commits or more                          damage: the later ones were synced

    a log (https://sqlite.org/fileformat2.html, 4)

    | header 32 | frame | frame | frame | …
                  = head 24 | a page
    header   magic 4 | version 4 | page size 4 | sequence 4 | salts 8 | checksum 8
    head     page number 4 | pages in the file, if this ends a commit 4 | salts 8 | checksum 8

A generation begins when everything was copied into the file: the log is written from its start,
with other salts, over the frames of the one before. A frame's checksum covers the first 8 bytes of
its head, its page, and, as the seed, the checksum of the frame before. That is stored, so a
frame can be verified where the one before is damaged.

A transaction has no page twice, unless it is larger than the writer's cache (8 MiB, see
``sqlite_writer``): pages that come again are another sign of two commits. An aborted transaction
that was larger than the cache leaves frames, but none that ends a commit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

_HEADER: Final = struct.Struct(">8I")
_HEAD: Final = struct.Struct(">2I8s2I")
_COVERED: Final = 8
_MAGIC: Final = 0x377F0682
"""With its lowest bit set, checksums are over big-endian words."""
_PAGE_SIZES: Final = tuple(1 << n for n in range(9, 17))
_MASK: Final = 0xFFFFFFFF
# A smaller transaction is written once, at its commit: the writer's cache holds it all.
_CACHE: Final = 8 * 1024 * 1024


class Bytes(Protocol):
    """A log: bytes, or a mapped file."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: slice, /) -> bytes: ...


class Verdict(NamedTuple):
    """What a log is worth."""

    valid: int
    """Bytes up to the end of the last commit that can be read."""
    commits: int
    """Commits that can be read."""
    damaged: bool
    """There are later ones, and they cannot be read."""


class _Frame(NamedTuple):
    page: int
    commits: int
    salts: bytes
    stored: tuple[int, int]
    right: bool
    """It is as it was written, if the stored checksum of the one before is."""


class _Format(NamedTuple):
    page_size: int
    big: bool


def judge(log: Bytes) -> Verdict:
    """Look through a whole log. Takes some 20 ms a MiB."""
    if len(log) < _HEADER.size:
        return Verdict(0, 0, damaged=False)
    raw = log[: _HEADER.size]
    magic, _, page_size, _, _, _, *stored = _HEADER.unpack(raw)
    shape = _Format(page_size, bool(magic & 1))
    known = magic | 1 == _MAGIC | 1 and page_size in _PAGE_SIZES
    seed = (stored[0], stored[1])
    if not known or _sum(raw[: _HEADER.size - 8], (0, 0), big=shape.big) != seed:
        return Verdict(0, 0, damaged=_has_commit(log))
    return _walk(log, shape, raw[16:24], seed)


def _walk(log: Bytes, shape: _Format, salts: bytes, seed: tuple[int, int]) -> Verdict:
    valid, commits, before = _HEADER.size, 0, seed
    for position, frame in _frames(log, shape, _HEADER.size, seed):
        if frame.salts != salts or not frame.right:
            break
        if frame.commits:
            valid = position + _HEAD.size + shape.page_size
            commits += 1
            before = frame.stored
    else:
        return Verdict(valid, commits, damaged=False)
    return Verdict(valid, commits, damaged=_is_damage(log, shape, salts, (valid, before)))


def _is_damage(
    log: Bytes, shape: _Format, salts: bytes, after: tuple[int, tuple[int, int]]
) -> bool:
    """Whether there is more than one commit after that place, which has that checksum."""
    size = _HEAD.size + shape.page_size
    seen: set[int] = set()
    commits, again, belongs, sound = 0, False, True, True
    broken: tuple[bytes, tuple[int, int]] | None = None
    previous = _Frame(0, 0, b"", (0, 0), right=False)
    start, before = after
    for position, frame in _frames(log, shape, start, before):
        # A frame whose salts are damaged is known by the one before.
        belongs = frame.salts == salts or (belongs and frame.right)
        if not belongs:
            before = frame.stored
            continue
        if sound and not frame.right and not frame.commits:
            broken = log[position : position + size], before
        sound = sound and frame.right
        # Where the disk's sectors are large, SQLite fills one up with the frame of the commit.
        if frame.commits and frame[:2] != previous[:2]:
            commits += 1
        again = again or (frame.page in seen and position - start < _CACHE)
        seen.add(frame.page)
        previous, before = frame, frame.stored
    if commits == 1 and broken is not None and not again:
        return _ended_commit(*broken, shape)
    return commits > 1 or (commits == 1 and again)


def _ended_commit(raw: bytes, seed: tuple[int, int], shape: _Format) -> bool:
    """Whether a frame that is not right would be, with another byte in the count of pages."""
    stored = _HEAD.unpack_from(raw)[3:]
    return any(
        _sum(_covered(raw[:at] + bytes([byte]) + raw[at + 1 :]), seed, big=shape.big) == stored
        for at in range(4, 8)
        for byte in range(1, 256)
    )


def _has_commit(log: Bytes) -> bool:
    """Whether a log whose header is damaged has the frame of a commit, whatever its format."""
    for page_size in _PAGE_SIZES:
        for big in (False, True):
            for seed in _seeds(log, big=big):
                if _commit_at(log, _Format(page_size, big), seed):
                    return True
    return False


def _seeds(log: Bytes, *, big: bool) -> Iterator[tuple[int, int]]:
    """The checksum of a header of which a part is damaged: as it is stored, and as it should be."""
    raw = log[: _HEADER.size]
    *_, first, second = _HEADER.unpack(raw)
    yield first, second
    yield _sum(raw[: _HEADER.size - 8], (0, 0), big=big)


def _commit_at(log: Bytes, shape: _Format, seed: tuple[int, int]) -> bool:
    size = _HEAD.size + shape.page_size
    end = len(log) - size
    if end < _HEADER.size:
        return False
    salts = log[_HEADER.size + 8 : _HEADER.size + 16]
    for position in range(_HEADER.size, end + 1, size):
        head = log[position : position + _HEAD.size]
        if head[8:16] != salts:
            return False
        if any(head[4:8]):
            before = log[position - size + 16 : position - size + 24]
            if position > _HEADER.size:
                first, second = struct.unpack(">2I", before)
                seed = (first, second)
            return _frame(log, shape, position, seed).right
    return False


def _frames(
    log: Bytes, shape: _Format, position: int, seed: tuple[int, int]
) -> Iterator[tuple[int, _Frame]]:
    size = _HEAD.size + shape.page_size
    while position + size <= len(log):
        frame = _frame(log, shape, position, seed)
        yield position, frame
        seed = frame.stored
        position += size


def _frame(log: Bytes, shape: _Format, position: int, seed: tuple[int, int]) -> _Frame:
    raw = log[position : position + _HEAD.size + shape.page_size]
    page, commits, salts, first, second = _HEAD.unpack_from(raw)
    right = _sum(_covered(raw), seed, big=shape.big) == (first, second)
    return _Frame(page, commits, salts, (first, second), right)


def _covered(raw: bytes) -> bytes:
    return raw[:_COVERED] + raw[_HEAD.size :]


def _sum(data: bytes, seed: tuple[int, int], *, big: bool) -> tuple[int, int]:
    """SQLite's checksum of a multiple of eight bytes."""
    first, second = seed
    words = iter(struct.unpack(f"{'>' if big else '<'}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = first + one + second & _MASK
        second = second + two + first & _MASK
    return first, second
