"""The command line's flags, made from the table of settings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from tailrace.config import Row, Schema
from tailrace.errors import ConfigError


class FlagParser(argparse.ArgumentParser):
    """An ArgumentParser whose refusal is a ConfigError of one line, as everybody else's is."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see {self.prog} --help).")


def parse(schema: Schema, parser: FlagParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """As ``parser.parse_args``, but what is unknown is named without its value.

    argparse would repeat it, and whoever types ``--token`` types a secret behind it.
    """
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        raise ConfigError(_words_for(schema, unknown))
    return arguments


def _words_for(schema: Schema, unknown: Sequence[str]) -> str:
    """Return what is wrong with these arguments, in one sentence without their values."""
    flag = next((word.partition("=")[0] for word in unknown if word.startswith("-")), "")
    if not flag:
        return "There is an argument that belongs to no flag."
    secrets = {_spelled(row.key): row.env for row in schema.rows() if row.secret}
    if flag in secrets:
        return f"There is no flag {flag}, because flags show; set {secrets[flag]} instead."
    near = get_close_matches(flag, [row.flag for row in schema.rows() if row.flag], n=1)
    return f"There is no flag {flag}{f'; did you mean {near[0]}?' if near else '.'}"


def add_settings(schema: Schema, parser: argparse.ArgumentParser) -> None:
    """One flag for each setting that has one, in the sections of the table."""
    sections: dict[str, argparse._ArgumentGroup] = {}
    for row in schema.rows():
        if row.flag is None:
            continue
        if row.section not in sections:
            sections[row.section] = parser.add_argument_group(row.section)
        _add(sections[row.section], row)


def given(schema: Schema, arguments: argparse.Namespace) -> dict[str, str]:
    """The settings that stood on the command line, by key, as text."""
    values = vars(arguments)
    return {row.key: values[row.key] for row in schema.rows() if row.flag and row.key in values}


def _spelled(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _add(group: argparse._ArgumentGroup, row: Row) -> None:
    assert row.flag is not None  # noqa: S101 -- the caller's condition
    # A percent sign would be a format of argparse's.
    meaning = f"{row.help} Default: {row.default_text}.".replace("%", "%%")
    if isinstance(row.default, bool):
        group.add_argument(
            row.flag, dest=row.key, nargs="?", const="true", metavar=row.kind.metavar,
            default=argparse.SUPPRESS, help=meaning,
        )  # fmt: skip
        return
    group.add_argument(
        row.flag, dest=row.key, metavar=row.kind.metavar, default=argparse.SUPPRESS, help=meaning
    )
