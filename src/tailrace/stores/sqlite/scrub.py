"""Scrubbing: zeroing what SQLite leaves behind inside its pages. Sans-I/O but for one file.

``secure_delete`` overwrites a deleted row where it lies. But when SQLite balances a tree it
copies rows from page to page, and what it copied stays behind in the unallocated part of the
old page; deleting the row later does not reach that copy. Of 700 deleted names among 1500, six
could still be read in the file (SQLite 3.40). VACUUM would clear them at the price of writing
the whole file anew; this writes only what is not zero yet in the pages that changed.

        a page of a tree (https://sqlite.org/fileformat2.html, 1.6)

        | header | cell pointers |      unallocated      | cells … freed cells … cells |
                                 ^ end of pointers       ^ start of content (header + 5)

Nobody ever reads the unallocated part: SQLite writes a cell before it points to it. So the file
may be changed beneath readers, and a crash in the middle leaves a sound file, under the same
assumption that SQLite makes: writing some bytes of a sector harms none of the others. Three
conditions are the caller's: it is the only writer, the log is empty (the pages in the file are
the newest), and its connection forgets its cached pages before it writes again.

Pages of trees look like any others, so which they are is taken from the pointer map that
``auto_vacuum`` maintains (1.8 there).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, Final

_FILE_HEADER: Final = 100
# Interior pages have four bytes more in front of their cell pointers: the right-most child.
_POINTERS_AT: Final = {2: 12, 5: 12, 10: 8, 13: 8}
_MAP_ENTRY: Final = 5
_MAP_TREES: Final = frozenset({1, 5})
# The page with the byte that SQLite locks; it holds nothing and is skipped by the pointer map.
_PENDING_BYTE: Final = 1 << 30
_LOG_HEADER: Final = 32
_FRAME_HEADER: Final = 24


def unallocated(page: bytes, start: int = 0) -> tuple[int, int] | None:
    """The part of a tree's page that holds nothing; ``start`` is where the page's header is.

    None for what cannot be a tree's page.
    """
    pointers = _POINTERS_AT.get(page[start])
    if pointers is None:
        return None
    cells = int.from_bytes(page[start + 3 : start + 5])
    content = int.from_bytes(page[start + 5 : start + 7]) or 65536
    end = start + pointers + 2 * cells
    return (end, content) if end <= content <= len(page) else None


def pages_in_log(log: BinaryIO, page_size: int) -> set[int]:
    """The numbers of the pages that a write-ahead log has frames of."""
    salt = log.read(_LOG_HEADER)[16:24]
    found: set[int] = set()
    position = _LOG_HEADER
    while len(head := log.read(_FRAME_HEADER)) == _FRAME_HEADER and head[8:16] == salt:
        found.add(int.from_bytes(head[:4]))
        position += _FRAME_HEADER + page_size
        log.seek(position)
    return found


def scrub(file: BinaryIO, pages: Iterable[int] | None) -> None:
    """Zero the unallocated part of those of ``pages`` (None: of all) that belong to trees.

    ``file`` is a database with a pointer map, open for writing, unbuffered.
    """
    file.seek(0)
    header = file.read(_FILE_HEADER)
    page_size = int.from_bytes(header[16:18])
    # 1 stands for 65536, which two bytes cannot hold. Some builds of SQLite (Apple's) reserve
    # bytes at the end of each page.
    page_size = 65536 if page_size == 1 else page_size
    usable = page_size - header[20]
    count = file.seek(0, 2) // page_size
    trees = _Trees(file, page_size, usable)
    for number in sorted(pages) if pages is not None else range(1, count + 1):
        if number <= count and trees.has(number):
            _scrub_page(file, number, page_size)


def _scrub_page(file: BinaryIO, number: int, page_size: int) -> None:
    start = (number - 1) * page_size
    file.seek(start)
    page = file.read(page_size)
    if len(page) < page_size:
        return
    gap = unallocated(page, _FILE_HEADER if number == 1 else 0)
    if gap is None or not any(page[gap[0] : gap[1]]):
        return
    file.seek(start + gap[0])
    file.write(bytes(gap[1] - gap[0]))


def scrub_free(file: BinaryIO) -> None:
    """Zero what free pages held, under the conditions of ``scrub``.

    They are listed in trunks (1.5 there), whose own pages are free as well: the number of the next
    trunk, how many pages are listed, and their numbers.
    """
    file.seek(0)
    header = file.read(_FILE_HEADER)
    page_size = int.from_bytes(header[16:18])
    page_size = 65536 if page_size == 1 else page_size
    count = file.seek(0, 2) // page_size
    trunk, seen = int.from_bytes(header[32:36]), 0
    while 0 < trunk <= count and seen < count:
        seen += 1
        page = _page(file, trunk, page_size)
        listed = min(int.from_bytes(page[4:8]), page_size // 4 - 2)
        end = 8 + 4 * listed
        _zero(file, trunk, page_size, page, end)
        for place in range(8, end, 4):
            number = int.from_bytes(page[place : place + 4])
            if 1 < number <= count:
                _zero(file, number, page_size, _page(file, number, page_size), 0)
        trunk = int.from_bytes(page[:4])


def _page(file: BinaryIO, number: int, page_size: int) -> bytes:
    file.seek((number - 1) * page_size)
    return file.read(page_size)


def _zero(file: BinaryIO, number: int, page_size: int, page: bytes, start: int) -> None:
    if any(page[start:]):
        file.seek((number - 1) * page_size + start)
        file.write(bytes(page_size - start))


class _Trees:
    """Tells which pages belong to trees; keeps the pointer map's page that it used last."""

    def __init__(self, file: BinaryIO, page_size: int, usable: int) -> None:
        self._file = file
        self._page_size = page_size
        # One page of the map and the pages that it describes.
        self._span = usable // _MAP_ENTRY + 1
        self._pending = _PENDING_BYTE // page_size + 1
        self._number = 0
        self._map = b""

    def has(self, number: int) -> bool:
        if number == 1:
            return True
        at = (number - 2) // self._span * self._span + 2
        if at == self._pending:
            at += 1
        entry = _MAP_ENTRY * (number - at - 1)
        if entry < 0:
            return False  # the map itself, or the page that nobody uses
        if at != self._number:
            self._file.seek((at - 1) * self._page_size)
            self._number, self._map = at, self._file.read(self._page_size)
        return self._map[entry] in _MAP_TREES
