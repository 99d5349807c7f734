"""Which hosts are ours: names and addresses as requests and settings write them. Sans-I/O."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def is_ours(host: str, bound_host: str, allowed_hosts: tuple[str, ...]) -> bool:
    """Whether a server bound to ``bound_host`` answers to ``host``, which is in lower case and has
    no port."""
    name, bound = _bare(host), _bare(bound_host.lower())
    if is_loopback(name) or (name == bound and not _is_wildcard(name)):
        return True
    if _is_wildcard(bound) and _address(name) is not None and not _is_wildcard(name):
        return True
    return any(_matches(name, allowed.lower()) for allowed in allowed_hosts)


def _matches(name: str, allowed: str) -> bool:
    if allowed.startswith("."):
        return name.endswith(allowed) or name == allowed[1:]
    return name == _bare(allowed)


def _bare(host: str) -> str:
    """Without brackets, and without the dot that ends an absolute name."""
    return host.removeprefix("[").removesuffix("]").removesuffix(".")


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach that address or name."""
    name = _bare(host)
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
        return True
    address = _address(name)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _is_wildcard(name: str) -> bool:
    """0.0.0.0 and :: mean "here" to an operating system, and to a page that tries its luck."""
    address = _address(name)
    return name == "" or (address is not None and address.is_unspecified)
