"""Which proxy a request goes through, decided from an environment mapping. Sans-I/O.

The variables have no standard, so this keeps to what curl and Go agree upon:

    upstream            variables, the first that is not empty
    http://…            http_proxy, HTTP_PROXY, all_proxy, ALL_PROXY
    https://…           https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY
    loopback            none, ever

``HTTP_PROXY`` is not read where ``REQUEST_METHOD`` is set: in a CGI process it is the client's
``Proxy:`` header and lets a stranger choose our proxy (CVE-2016-5385).

An entry of ``no_proxy``/``NO_PROXY``, a list divided by commas or white space, means:

    *                       every host
    example.com             that name and the names below it; so does .example.com
    *.example.com           only the names below it
    10.0.0.7, [::1], ::1    that address
    10.0.0.0/8, fd00::/8    the addresses in that network
    …:8443                  only at that port (an IPv6 address then needs its brackets)
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from tailrace.config.base_url import BaseUrl
from tailrace.errors import ConfigError
from tailrace.wire.hosts import address_of

_VARIABLES: Final = {
    "http": ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
}
# curl takes 1080 where a proxy's port is missing, Go and most others the scheme's own.
_DEFAULT_PORT: Final = 80
_ENTRY: Final = re.compile(r"(?:\[(?P<six>[^]]*)\]|(?P<host>[^:]*))(?::(?P<port>[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, spoken to in plain HTTP."""

    host: str
    port: int
    variable: str
    """The name of the environment variable that named it, for error messages."""
    authorization: bytes | None = field(default=None, repr=False)
    """The value of Proxy-Authorization."""

    def __str__(self) -> str:
        return f"the proxy {self.host}:{self.port} (from {self.variable})"


def choose_proxy(url: BaseUrl, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for this upstream, or None for a direct connection.

    Raises ConfigError where the variable that applies does not name an ``http://`` proxy.
    """
    if url.is_loopback or _is_exempt(url, environ):
        return None
    for variable in _VARIABLES[url.scheme]:
        if variable == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
            continue
        if value := environ.get(variable, "").strip():
            return _parse(value, variable)
    return None


def _parse(value: str, variable: str) -> Proxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _refusal(variable) from None
    if parts.scheme != "http" or not host or re.search(r"[^!-~]", host):
        raise _refusal(variable)
    credentials = None
    if parts.username is not None:
        pair = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
        credentials = b"Basic " + b64encode(pair)  # RFC 7617 §2
    return Proxy(host, port or _DEFAULT_PORT, variable, credentials)


def _refusal(variable: str) -> ConfigError:
    return ConfigError(
        f"{variable} must name a proxy as http://host:port (SOCKS and https:// proxies are not "
        "supported); change it, or list the upstream's host in NO_PROXY."
    )


def _is_exempt(url: BaseUrl, environ: Mapping[str, str]) -> bool:
    entries = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return any(_covers(entry, url) for entry in re.split(r"[,\s]+", entries.lower()) if entry)


def _covers(entry: str, url: BaseUrl) -> bool:
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        address = address_of(url.host)
        return address is not None and address in network
    match = _ENTRY.fullmatch(entry)
    if match is None or (match["port"] and int(match["port"]) != url.port):
        return False
    return _covers_host(match["six"] or match["host"] or "", url.host)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A network, or a single address as the network that holds only it."""
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _covers_host(pattern: str, host: str) -> bool:
    if (address := address_of(pattern)) is not None:
        return address == address_of(host)
    name, host = pattern.rstrip("."), host.rstrip(".")
    if name.startswith("*."):
        return host.endswith(name[1:])
    name = name.removeprefix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
