"""What a base URL may be: ``http://127.0.0.1:11434/v1``, as SDKs take it.

No message here repeats the text it refuses: people paste keys and passwords into URLs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tailrace.errors import ConfigError
from tailrace.wire.hosts import address_of, is_loopback

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
# RFC 1123 §2.1, and the underscore that names in container networks have.
_HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """A base URL, taken apart. ``str()`` puts it together again, normalised."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """Lower case; an IPv6 address without its brackets."""
    port: int
    path: str
    """Empty, or begins with a slash and does not end with one."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def peer(self) -> str:
        """``host:port``, for people and for CONNECT."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """What stands in ``Host``: the port only where it is not the scheme's own."""
        suffix = f":{self.port}"
        return self.peer.removesuffix(suffix) if self._port_is_default else self.peer

    @property
    def _port_is_default(self) -> bool:
        return self.port == _DEFAULT_PORTS[self.scheme]

    @property
    def is_loopback(self) -> bool:
        """Whether the connection cannot leave this machine."""
        return is_loopback(self.host)


def parse_base_url(text: str) -> BaseUrl:
    """Take a base URL apart. Raises ConfigError, which says what is wrong with it."""
    if not _VISIBLE_ASCII.fullmatch(text):
        raise _refusal("is empty or holds a space or a character outside ASCII")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refusal("has a malformed host or port") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refusal("must begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise _refusal("must not hold credentials; give the key in TAILRACE_UPSTREAM_API_KEY")
    if "?" in text or "#" in text:
        raise _refusal("must not have a query or a fragment")
    if port == 0:
        raise _refusal("has a malformed host or port")
    path = parts.path.rstrip("/")
    return BaseUrl(parts.scheme, _host(parts), port or _DEFAULT_PORTS[parts.scheme], path)


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        if isinstance(address_of(host), IPv6Address) and "%" not in host:
            return host
    elif _HOST_NAME.fullmatch(host):
        return host
    raise _refusal("has no host, or a malformed one")


def _refusal(what: str) -> ConfigError:
    return ConfigError(f"The upstream URL {what}; it should look like http://127.0.0.1:11434/v1.")
