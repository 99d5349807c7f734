"""Writes docs/configuration.md from the table: ``python -m tailrace.cli.config_page > FILE``."""

from __future__ import annotations

from typing import Final

from tailrace.cli.configuration import APPLIED
from tailrace.config import Row, Schema
from tailrace.server.uses import SCHEMA

_INTRODUCTION: Final = """\
# Configuration

<!-- Made by `make format` from src/tailrace/config/settings.py and the settings.py of each use.
Edit those. -->

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
_RELOAD: Final = """\
## Changing it without a restart

On SIGHUP a server that was started with a file reads it again. These apply to requests from then
on: {keys}; and the
`[[upstreams]]`. What runs goes on. A line says what was applied, and another which other settings
have changed and need a restart. A file with a mistake changes nothing, and neither does one that
would [expose the server](trust.md#changing-it-without-a-restart). A flag or a variable wins over
the file, as at the start.
"""


def page(schema: Schema = SCHEMA) -> str:
    """The whole page, as Markdown."""
    sections: dict[str, list[Row]] = {}
    for row in schema.rows():
        sections.setdefault(row.section, []).append(row)
    reload = _RELOAD.format(keys=", ".join(f"`{key}`" for key in sorted(APPLIED)))
    tables = (_section(name, rows) for name, rows in sections.items())
    return "\n".join([_INTRODUCTION, reload, *tables])


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
