"""Hosts as requests, settings and URLs write them: names, addresses, brackets. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def bare(host: str) -> str:
    """Return ``host`` without brackets, and without the dot that ends an absolute name."""
    return host.removeprefix("[").removesuffix("]").removesuffix(".")


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that ``host``, without brackets, spells; None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine reach the address or name ``host``.

    Brackets, a dot at the end and capital letters make no difference. A name other than
    localhost may be anyone's.
    """
    name = bare(host).lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
        return True
    address = address_of(name)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback
