"""The tables of docs/endings.md, from what was observed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.e2e.ending_readers import API_FRONTS, CHAT_FRONTS, OWN_VIEW, Seen, views_of
from tests.e2e.ending_rooms import Observed

_PAGE: Final = Path(__file__).parents[2] / "docs" / "endings.md"
_WRITE: Final = "TAILRACE_WRITE_DOCS"
_NOTHING: Final = "—"
_SHARED: Final = ("sse", "text", "ndjson")

_CHAT: Final = (
    "name",
    "what happens",
    "ending",
    "`/stream`",
    "`/stream` as events",
    "`/v1`",
    *(f"view `{view}`" for view in views_of("chat")),
)
_APIS: Final = (
    "what happens",
    "ending",
    *(f"`/v1/{api}`, view `{OWN_VIEW[api]}`" for api in API_FRONTS),
    *(f"view `{view}`" for view in _SHARED),
    "`GET /v1/responses/{id}`",
)


def keep_true(name: str, table: str, module: str) -> None:
    """The page has this table between the marks of that name, or is to be written anew."""
    page = _PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    head, _, rest = page.partition(begin)
    shown, found, tail = rest.partition(end)
    assert found, f"{_PAGE.name} has lost the place of its {name}"
    now = f"\n{table}\n"
    if os.environ.get(_WRITE):
        _PAGE.write_text(head + begin + now + end + tail, encoding="utf-8")
        return
    assert shown == now, f"write it anew: {_WRITE}=1 pytest {module}"


def chat_table(observed: Iterable[Observed]) -> str:
    """A row for each of the ROWS."""
    rows = [[f"`{each.row.name}`", each.row.note, *_chat_cells(each)] for each in observed]
    return _table(_CHAT, rows)


def _chat_cells(observed: Observed) -> list[str]:
    views = observed.views["chat"]
    fronts = [_cell(observed.fronts.get(front)) for front in CHAT_FRONTS]
    return [_ending(observed), *fronts, *(views[view].cell for view in views_of("chat"))]


def api_table(observed: Iterable[Observed]) -> str:
    """A row for all that look alike."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in observed:
        alike.setdefault(tuple(_api_cells(each)), []).append(f"`{each.row.name}`")
    return _table(_APIS, [[", ".join(names), *cells] for cells, names in alike.items()])


def _api_cells(observed: Observed) -> list[str]:
    own = [
        _joined([observed.fronts.get(api), observed.views.get(api, {}).get(OWN_VIEW[api])])
        for api in API_FRONTS
    ]
    shared = [
        _joined([observed.views.get(api, {}).get(view) for api in API_FRONTS]) for view in _SHARED
    ]
    return [_ending(observed), *own, *shared, _retrieved(observed)]


def _retrieved(observed: Observed) -> str:
    status, response = observed.retrieved
    if not status:
        return _NOTHING
    return f"`{response['status']}`" if status == 200 else f"{status}"


def _ending(observed: Observed) -> str:
    return f"`{observed.row.ending}`" if observed.row.ending else _NOTHING


def _cell(seen: Seen | None) -> str:
    return seen.cell if seen is not None else _NOTHING


def _joined(seen: Iterable[Seen | None]) -> str:
    """Cells that are the same are one."""
    cells = [_without_status(each) for each in seen if each is not None]
    return "; ".join(dict.fromkeys(cells)) or _NOTHING


def _without_status(seen: Seen) -> str:
    """What is handed on has any status: of that there would be a row each."""
    return seen.cell.removeprefix(f"{seen.status}, ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)
