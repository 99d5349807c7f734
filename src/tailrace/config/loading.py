"""Reads settings: flag before environment before file before default.

Nothing here touches the system: the caller brings the flags it parsed, the environment and the
file's text. Every refusal is a ConfigError of one line that names the setting and where its
value came from, and never repeats what could be secret.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

from tailrace.config.row import Row
from tailrace.config.schema import Schema, rows_of
from tailrace.config.settings import Settings
from tailrace.config.words import near, quoted
from tailrace.errors import ConfigError

T = TypeVar("T")

_PREFIX: Final = "TAILRACE_"


class Loaded(NamedTuple):
    """The configuration, and what deserves a word without being an error."""

    tables: Mapping[type[Any], Any]
    """Of each table of the schema, its values."""
    arrays: Mapping[str, Any]
    """Of each array that the file has, what its parser made of it."""
    places: Mapping[str, str]
    """Of each setting that is given, where: a flag, a variable, a key of the file."""
    warnings: list[str]
    file_name: str = ""

    @property
    def settings(self) -> Settings:
        """The core's settings."""
        return self.of(Settings)

    def of(self, table: type[T]) -> T:
        """The settings of one table of the schema. Raises KeyError where it has no such table."""
        found: T = self.tables[table]
        return found


class _Given(NamedTuple):
    value: object
    place: str


def config_file(flags: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """The name of the file whose text ``load`` wants; empty where none is configured."""
    return flags.get("config", "") or environ.get(_PREFIX + "CONFIG", "")


def load(
    schema: Schema,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    toml_text: str | None = None,
) -> Loaded:
    """Read the tables of ``schema`` from flags (by key), the environment and the file's text.

    An empty variable counts as unset, because that is how container tools pass what they do
    not have. Raises ConfigError.
    """
    file_name = config_file(flags, environ)
    file_values = {} if toml_text is None else _parse_toml(schema, toml_text, file_name)
    arrays = {
        name: parse(file_values[name], file_name)
        for name, parse in schema.arrays.items()
        if name in file_values
    }
    tables: dict[type[Any], Any] = {}
    places: dict[str, str] = {}
    for table in schema.tables:
        values: dict[str, Any] = {}
        for row in rows_of(table):
            given = _given(row, flags, environ, file_values, file_name)
            if given is not None:
                values[row.key] = _parse(row, given)
                places[row.key] = given.place
        tables[table] = table(**values)
    return Loaded(tables, arrays, places, _unknown_variables(schema, environ), file_name)


def _given(
    row: Row,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    file_values: Mapping[str, object],
    file_name: str,
) -> _Given | None:
    if row.flag and row.key in flags:
        return _Given(flags[row.key], row.flag)
    if environ.get(row.env):
        return _Given(environ[row.env], row.env)
    if row.key in file_values:
        return _Given(file_values[row.key], f"{row.key} in {file_name}")
    return None


def _parse(row: Row, given: _Given) -> object:
    try:
        return row.kind.parse(given.value)
    except ValueError as wanted:
        got = "" if row.secret else quoted(given.value)
        raise ConfigError(f"{given.place} must be {wanted}{got}.") from None


def _parse_toml(schema: Schema, text: str, file_name: str) -> dict[str, object]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser names line and column, and quotes no value.
        raise ConfigError(f"{file_name} is not valid TOML: {error}.") from None
    except ValueError:  # of int(), which takes no more than some thousand digits
        raise ConfigError(f"{file_name} has a number beyond all bounds.") from None
    except RecursionError:
        raise ConfigError(f"{file_name} has arrays or tables within each other too deep.") from None
    allowed = {row.key: row for row in schema.rows()}
    for key in values:
        if key in schema.arrays:
            continue
        if key not in allowed:
            known = [*(row.key for row in schema.rows() if row.in_file), *schema.arrays]
            raise ConfigError(f"{file_name} has an unknown key {key!r}{near(key, known)}")
        if not allowed[key].in_file:
            raise ConfigError(
                f"{key} is not read from {file_name}; set {allowed[key].env} instead."
            )
    return values


def _unknown_variables(schema: Schema, environ: Mapping[str, str]) -> list[str]:
    known = [row.env for row in schema.rows()]
    unknown = [name for name in environ if name.startswith(_PREFIX) and name not in known]
    return [f"{name} is no setting and was ignored{near(name, known)}" for name in unknown]
