"""Which hosts are ours. Sans-I/O."""

from __future__ import annotations

from tailrace.wire.hosts import address_of, bare, is_loopback


def is_ours(host: str, bound_host: str, allowed_hosts: tuple[str, ...]) -> bool:
    """Whether a server bound to ``bound_host`` answers to ``host``, which is in lower case and has
    no port."""
    name, bound = bare(host), bare(bound_host.lower())
    if is_loopback(name) or (name == bound and not _is_wildcard(name)):
        return True
    if _is_wildcard(bound) and address_of(name) is not None and not _is_wildcard(name):
        return True
    return any(_matches(name, allowed.lower()) for allowed in allowed_hosts)


def _matches(name: str, allowed: str) -> bool:
    if allowed.startswith("."):
        return name.endswith(allowed) or name == allowed[1:]
    return name == bare(allowed)


def _is_wildcard(name: str) -> bool:
    """0.0.0.0 and :: mean "here" to an operating system, and to a page that tries its luck."""
    address = address_of(name)
    return name == "" or (address is not None and address.is_unspecified)
