"""The array of tables ``[[upstreams]]`` in the TOML file: one table, one upstream.

Refusals are of one line, name file, table and key, and repeat nothing that could be a key: people
put one where the name of its variable belongs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tailrace.config import kinds
from tailrace.config.kinds import Kind
from tailrace.config.words import near, quoted
from tailrace.errors import ConfigError
from tailrace.upstream.http.request_head import Auth

TABLE: Final = "upstreams"
_DAY: Final = 86400.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLES: Final = "names of environment variables that hold a key each, such as OPENAI_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSpec:
    """What the configuration says of one upstream. Durations are seconds."""

    name: str
    url: str
    """Its base URL, as SDKs take it."""
    api_key_envs: tuple[str, ...] = ()
    """The variables that hold its keys, used in rotation."""
    auth: Auth | None = None
    """The field that carries a key; None: by the host."""
    models: tuple[str, ...] = ("*",)
    """Globs (``*``, ``?``, ``[…]``) of the models that it answers for."""
    aliases: tuple[tuple[str, str], ...] = ()
    """Names that clients use, each with the name that the upstream gets."""
    weight: int = 1
    """Its share among those that answer for a model; 0: asked only where the others fail."""
    disconnect: str = ""
    """What leaving means for its answers; empty: what it means everywhere."""
    max_streams: int = 0
    """Requests at a time; 0: no limit."""
    max_queue: int = 100
    """Requests that may wait for one of those: as many as a patient pool of clients has."""
    queue_timeout: float = 30.0
    """How long one may wait: proxies cut what is silent for longer."""
    connect_timeout: float | None = None
    """This and the next three: None is the setting of that name."""
    first_byte_timeout: float | None = None
    silence_timeout: float | None = None
    total_timeout: float | None = None


def parse_upstreams(value: object, file_name: str) -> tuple[UpstreamSpec, ...]:
    """The upstreams in what TOML has for ``upstreams``. Raises ConfigError."""
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise ConfigError(f"{TABLE} in {file_name} must be tables: one [[{TABLE}]] each.")
    specs = tuple(
        _parse_table(table, f"[[{TABLE}]] {number} of {file_name}")
        for number, table in enumerate(value, 1)
    )
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"[[{TABLE}]] of {file_name} has the name {name!r} twice.")
    return specs


def _parse_table(table: Mapping[str, object], place: str) -> UpstreamSpec:
    for key in table:
        if key not in _KINDS:
            raise ConfigError(f"{place} has an unknown key {key!r}{near(key, _KINDS)}")
    values: dict[str, Any] = {key: _parse(key, value, place) for key, value in table.items()}
    for key in ("name", "url"):
        if not values.get(key):
            raise ConfigError(f"{place} has no {key}.")
    one = values.pop("api_key_env", None)
    if one is not None and "api_key_envs" in values:
        raise ConfigError(f"{place} has both api_key_env and api_key_envs; give one of them.")
    if one is not None:
        values["api_key_envs"] = (one,)
    return UpstreamSpec(**values)


def _parse(key: str, value: object, place: str) -> object:
    try:
        return _KINDS[key].parse(value)
    except ValueError as wanted:
        got = "" if key in _SECRETIVE else quoted(value)
        raise ConfigError(f"{key} in {place} must be {wanted}{got}.") from None


def _word(pattern: re.Pattern[str], wanted: str) -> Kind[str]:
    def parse(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(wanted)
        return value

    return Kind(parse, str, "TEXT")


def _words(wanted: str, pattern: re.Pattern[str] | None = None) -> Kind[tuple[str, ...]]:
    """An array of texts, not empty."""

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError(wanted)
        texts = tuple(text for text in value if isinstance(text, str) and text.isprintable())
        if len(texts) < len(value) or not all(texts):
            raise ValueError(wanted)
        if pattern is not None and not all(map(pattern.fullmatch, texts)):
            raise ValueError(wanted)
        return texts

    return Kind(parse, ",".join, "TEXT,…")


def _table() -> Kind[tuple[tuple[str, str], ...]]:
    wanted = "a table of names, such as { fast = 'llama-3.1-8b' }"

    def parse(value: object) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, dict):
            raise ValueError(wanted)
        pairs = tuple((name, to) for name, to in value.items() if isinstance(to, str) and to)
        if len(pairs) < len(value) or not all(name for name, _ in pairs):
            raise ValueError(wanted)
        return pairs

    return Kind(parse, str, "TABLE")


_TIMEOUT: Final = kinds.seconds(0.001, 7 * _DAY)
_KINDS: Final[dict[str, Kind[Any]]] = {
    "name": _word(_NAME, "a word of letters, digits, '.', '_' and '-', of up to 64"),
    "url": kinds.base_url(),
    "api_key_env": _word(
        _VARIABLE, "the name of the environment variable that holds the key, not the key"
    ),
    "api_key_envs": _words(f"{_VARIABLES}, not the keys", _VARIABLE),
    "auth": kinds.choice("bearer", "x-api-key", "api-key"),
    "models": _words("a list of model names or globs, such as ['gpt-*', 'o3']"),
    "aliases": _table(),
    # More would only make sums that nobody reads.
    "weight": kinds.integer(0, 1_000_000),
    "disconnect": kinds.disconnect(),
    "max_streams": kinds.integer(0, 1_000_000),
    "max_queue": kinds.integer(0, 1_000_000),
    "queue_timeout": kinds.seconds(0, _DAY),
    "connect_timeout": _TIMEOUT,
    "first_byte_timeout": _TIMEOUT,
    "silence_timeout": _TIMEOUT,
    "total_timeout": _TIMEOUT,
}
# Where people put a key by mistake.
_SECRETIVE: Final = frozenset({"api_key_env", "api_key_envs"})
