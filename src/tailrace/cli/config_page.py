"""Writes docs/configuration.md from the table: ``python -m tailrace.cli.config_page > FILE``."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from tailrace.config import Row, rows

_INTRODUCTION: Final = """\
# Configuration

<!-- Made by `make format` from src/tailrace/config/settings.py. Edit that. -->

Every setting has one name and up to four places. The first that has a value wins:

1. a flag of `tailrace serve`: `--max-body 64MiB`
2. the environment: `TAILRACE_MAX_BODY=64MiB` (an empty variable counts as unset)
3. the TOML file that `--config` or `TAILRACE_CONFIG` names: `max_body = "64MiB"`
4. the default

The file is flat, one `key = value` a line, but for its `[[upstreams]]`, which
[Upstreams](upstreams.md) describes; an unknown key in it is an error, an unknown `TAILRACE_`
variable a warning. Secrets have no flag, because flags show in process lists.

Durations are seconds (`90`, `0.02`) or have a unit: `20ms`, `90s`, `10m`, `6h`, `7d`. Sizes are
bytes (`65536`) or have one of `KiB`, `MiB`, `GiB`. Lists are arrays in TOML and separated by
commas elsewhere.
"""


def page() -> str:
    """The whole page, as Markdown."""
    sections = [_section(name, list(group)) for name, group in groupby(rows(), _section_of)]
    return "\n".join([_INTRODUCTION, *sections])


def _section_of(row: Row) -> str:
    return row.section


def _section(name: str, table: list[Row]) -> str:
    lines = [f"## {name}", "", "| key | default | meaning |", "|---|---|---|"]
    lines += [f"| {_places(row)} | {_default(row)} | {_cell(row.help)} |" for row in table]
    return "\n".join([*lines, ""])


def _places(row: Row) -> str:
    places = [f"`{row.key}`", f"`{row.flag}`" if row.flag else "no flag", f"`{row.env}`"]
    return "<br>".join([*places, *([] if row.in_file else ["not in the file"])])


def _default(row: Row) -> str:
    return row.unset or f"`{_cell(row.kind.show(row.default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
