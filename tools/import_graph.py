"""Draw which room imports which: ``python -m tools.import_graph FILE.svg [--src DIR] [ROOM]``.

The picture is a matrix. A row is a room, a column is a room that it imports, and a number is how
many of its modules do. Rooms stand in the order in which they may import: a number to the right
of the diagonal is an import of a room below, one to the left is an import upward.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import grimp

PACKAGE: Final = "tailrace"
ORDER: Final = (
    "cli", "embed", "server", "console", "chat", "streams", "http1", "web", "access", "sources",
    "upstream", "stores", "log", "views", "contracts", "config", "wire",
    "errors", "model", "patience",
)  # fmt: skip
"""The rooms from the top to the bottom; those that are not named here stand above, by name."""

_CELL: Final = 30
_MARGIN: Final = 110
_DOWN, _UP, _SELF = "#d8efd8", "#f6c6c6", "#e8e8e8"


def main() -> int:
    """Write the picture; print the arrows that lead upward."""
    parser = argparse.ArgumentParser(prog="python -m tools.import_graph")
    parser.add_argument("file", type=Path, help="the picture, as SVG")
    parser.add_argument("room", nargs="?", default="", help="draw the inside of one room")
    parser.add_argument("--src", default="src", help="the folder that the package is in (src)")
    given = parser.parse_args()
    sys.path.insert(0, str(Path(given.src).resolve()))
    counts = arrows(f"{PACKAGE}.{given.room}" if given.room else PACKAGE)
    rooms = sorted({room for pair in counts for room in pair}, key=_rank(counts))
    given.file.write_text(picture(rooms, counts), encoding="utf-8")
    for upper, lower in sorted(counts):
        if rooms.index(upper) > rooms.index(lower):
            print(f"{upper} imports {lower}, which stands above")  # noqa: T201 - a command
    return 0


def arrows(package: str) -> Counter[tuple[str, str]]:
    """Return how many modules of each room of ``package`` import each other room."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False, cache_dir=None)
    below = f"{package}."
    found: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        if not module.startswith(below):
            continue
        own = _room(module, below)
        imported = graph.find_modules_directly_imported_by(module)
        others = {_room(other, below) for other in imported if other.startswith(below)}
        found.update((own, other) for other in others - {own})
    return found


def _room(module: str, below: str) -> str:
    return module.removeprefix(below).partition(".")[0]


class _rank:  # noqa: N801 - a key, called like a function
    """The place of a room: by ``ORDER``, inside a room by how far its imports reach down."""

    def __init__(self, counts: Counter[tuple[str, str]]) -> None:
        self._counts = counts

    def __call__(self, room: str) -> tuple[int, int, str]:
        if room in ORDER:
            return (1, ORDER.index(room), room)
        return (0, -self._depth(room, frozenset()), room)

    def _depth(self, room: str, seen: frozenset[str]) -> int:
        lower = {other for one, other in self._counts if one == room} - seen
        return 1 + max((self._depth(other, seen | {room}) for other in lower), default=0)


def picture(rooms: list[str], counts: Counter[tuple[str, str]]) -> str:
    """Return the matrix as SVG."""
    size = _MARGIN + _CELL * len(rooms) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" '
        f'viewBox="0 0 {size} {size}" font-family="sans-serif" font-size="12">',
        f'<rect width="{size}" height="{size}" fill="white"/>',
    ]
    for at, room in enumerate(rooms):
        middle = _MARGIN + _CELL * at + _CELL // 2
        parts.append(
            f'<text x="{_MARGIN - 8}" y="{middle + 4}" text-anchor="end">{escape(room)}</text>'
        )
        parts.append(
            f'<text transform="translate({middle + 4} {_MARGIN - 8}) rotate(-60)">'
            f"{escape(room)}</text>"
        )
        parts += [_cell(at, other, counts[room, rooms[other]]) for other in range(len(rooms))]
    return "\n".join([*parts, "</svg>", ""])


def _cell(row: int, column: int, count: int) -> str:
    x, y = _MARGIN + _CELL * column, _MARGIN + _CELL * row
    colour = _SELF if row == column else "white" if not count else _DOWN if column > row else _UP
    box = (
        f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="{colour}" '
        'stroke="#bbb" stroke-width="0.5"/>'
    )
    if not count:
        return box
    return f'{box}<text x="{x + _CELL // 2}" y="{y + 19}" text-anchor="middle">{count}</text>'


if __name__ == "__main__":
    sys.exit(main())
