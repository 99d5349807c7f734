"""Reads settings: flag before environment before file before default.

Nothing here touches the system: the caller brings the flags it parsed, the environment and the
file's text. Every refusal is a ConfigError of one line that names the setting and where its
value came from, and never repeats what could be secret.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tailrace.config.row import Row
from tailrace.config.settings import Settings, rows
from tailrace.config.upstreams import TABLE, UpstreamSpec, parse_upstreams
from tailrace.config.words import near, quoted
from tailrace.errors import ConfigError

_PREFIX: Final = "TAILRACE_"


class Loaded(NamedTuple):
    """The settings, and what deserves a word without being an error."""

    settings: Settings
    warnings: list[str]
    upstreams: tuple[UpstreamSpec, ...] = ()
    """Those of the file; none where a single one was named, or nothing."""


class _Given(NamedTuple):
    value: object
    place: str


def config_file(flags: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """The name of the file whose text ``load`` wants; empty where none is configured."""
    return flags.get("config", "") or environ.get(_PREFIX + "CONFIG", "")


def load(
    flags: Mapping[str, str], environ: Mapping[str, str], toml_text: str | None = None
) -> Loaded:
    """Make Settings from flags (by key), the environment and the text of the file.

    An empty variable counts as unset, because that is how container tools pass what they do
    not have. Raises ConfigError.
    """
    file_name = config_file(flags, environ)
    file_values = {} if toml_text is None else _parse_toml(toml_text, file_name)
    specs = parse_upstreams(file_values.pop(TABLE, []), file_name)
    values: dict[str, Any] = {}
    for row in rows():
        given = _given(row, flags, environ, file_values, file_name)
        if given is not None:
            values[row.key] = _parse(row, given)
    warnings = _unknown_variables(environ)
    if specs and values.get("upstream"):
        warnings.append(_overruled(flags, file_values, file_name))
        specs = ()
    return Loaded(Settings(**values), warnings, specs)


def _overruled(flags: Mapping[str, str], file_values: Mapping[str, object], file_name: str) -> str:
    """The warning that one upstream takes the place of the file's several: as everywhere, a flag
    and the environment win over the file. Raises ConfigError where the file names it itself."""
    if "upstream" in file_values:
        raise ConfigError(f"{file_name} has both upstream and [[{TABLE}]]; give one of them.")
    place = "--upstream" if flags.get("upstream") else f"{_PREFIX}UPSTREAM"
    return f"[[{TABLE}]] of {file_name} is not used: {place} names an upstream."


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


def _parse_toml(text: str, file_name: str) -> dict[str, object]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser names line and column, and quotes no value.
        raise ConfigError(f"{file_name} is not valid TOML: {error}.") from None
    except ValueError:  # of int(), which takes no more than some thousand digits
        raise ConfigError(f"{file_name} has a number beyond all bounds.") from None
    except RecursionError:
        raise ConfigError(f"{file_name} has arrays or tables within each other too deep.") from None
    allowed = {row.key: row for row in rows()}
    for key in values:
        if key == TABLE:
            continue
        if key not in allowed:
            known = [*(row.key for row in rows() if row.in_file), TABLE]
            raise ConfigError(f"{file_name} has an unknown key {key!r}{near(key, known)}")
        if not allowed[key].in_file:
            raise ConfigError(
                f"{key} is not read from {file_name}; set {allowed[key].env} instead."
            )
    return values


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = [row.env for row in rows()]
    unknown = [name for name in environ if name.startswith(_PREFIX) and name not in known]
    return [f"{name} is no setting and was ignored{near(name, known)}" for name in unknown]
