"""One upstream as it is to be asked: what the configuration says of it, resolved. Sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tailrace.config.base_url import BaseUrl, parse_base_url
from tailrace.errors import ConfigError
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.http.request_head import Auth
from tailrace.upstream.routing.choice import OPENAI_KEY_VARIABLE, is_openai, key_from, readable_key
from tailrace.upstream.routing.upstream_spec import UpstreamSpec

DEFAULT: Final = "default"
"""The name of the one upstream that is configured without a table of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """``keys`` are those of ours; with none, the client's own are passed on."""

    spec: UpstreamSpec
    keys: tuple[str, ...] = field(default=(), repr=False)
    clocks: Clocks = field(default_factory=Clocks)

    @property
    def auth(self) -> Auth:
        """How a key is shown: as configured, else as the host is known to want it."""
        return self.spec.auth or _auth_of(parse_base_url(self.spec.url))

    def same_connection(self, other: Target) -> bool:
        """Whether connections to the one serve the other."""
        mine = (self.spec.url, self.auth, self.keys, self.clocks)
        return mine == (other.spec.url, other.auth, other.keys, other.clocks)


class Resolved(NamedTuple):
    """A target, and one line for the operator; empty where there is nothing to warn of."""

    target: Target
    warning: str


def resolve(spec: UpstreamSpec, environ: Mapping[str, str], clocks: Clocks) -> Resolved:
    """The target of one ``[[upstreams]]`` table; ``clocks`` hold where it names none.

    Raises ConfigError for a malformed URL and for a variable that is not set.
    """
    try:
        url = parse_base_url(spec.url)
    except ConfigError as error:
        raise ConfigError(f"[[upstreams]] {spec.name!r}: {error}") from None
    keys = _keys(spec, url, environ)
    readable = bool(keys) and url.scheme == "http" and not url.is_loopback
    own = Clocks(
        connect=spec.connect_timeout or clocks.connect,
        first_byte=spec.first_byte_timeout or clocks.first_byte,
        silence=spec.silence_timeout or clocks.silence,
        total=spec.total_timeout or clocks.total,
    )
    return Resolved(Target(spec, keys, own), readable_key(url) if readable else "")


def _keys(spec: UpstreamSpec, url: BaseUrl, environ: Mapping[str, str]) -> tuple[str, ...]:
    if not spec.api_key_envs:
        openai = key_from(OPENAI_KEY_VARIABLE, environ) if is_openai(str(url)) else None
        return () if openai is None else (openai,)
    keys = []
    for variable in spec.api_key_envs:
        key = key_from(variable, environ)
        if key is None:
            # What is no variable's name as people write them may be the key itself.
            shown = variable if variable.isupper() else "its name is not shown: it may be a key"
            raise ConfigError(
                f"[[upstreams]] {spec.name!r} names a variable for its key that is not set "
                f"({shown})."
            )
        keys.append(key)
    return tuple(dict.fromkeys(keys))


def _auth_of(url: BaseUrl) -> Auth:
    if url.host == "api.anthropic.com":
        return "x-api-key"
    if url.host.endswith(".openai.azure.com"):
        return "api-key"
    return "bearer"
