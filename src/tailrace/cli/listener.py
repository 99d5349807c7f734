"""The listening sockets, taken before anything slow or costly begins.

configured                  what is listened on
--------------------------  -----------------------------------------------------------------
host, an address            it; ``::`` takes IPv4 as well, where the system lets one socket
host, localhost             127.0.0.1 and ::1, whatever a resolver says (RFC 6761, section 6.3)
host, any other name        each of its addresses that this machine has
uds                         a Unix socket at that path: ``unix_socket.py``
fd                          a socket that whoever started us has opened
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from tailrace.errors import AddressInUse, ConfigError, StartupError
from tailrace.wire.hosts import address_of, is_loopback

# uvicorn's own default; the system may allow less.
BACKLOG: Final = 2048

# An address of a family that this machine does not have, or that is not configured here.
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
# A port that the first family had free may be taken in the other; a few draws find one.
_DRAWS: Final = 20
_UNIX: Final = getattr(socket, "AF_UNIX", None)


@dataclass(frozen=True)
class Listening:
    """The sockets that are listened on, and how to speak of them. Closes them on exit."""

    sockets: Sequence[socket.socket]
    where: str
    """For a person: a URL, or ``unix:PATH``."""
    host: str
    """The name or address that a request's Host may have besides loopback."""
    remove: Callable[[], None] = lambda: None
    """Takes away what a socket leaves in the file system."""

    @property
    def port(self) -> int:
        """The TCP port, the same for all; 0 where there is none."""
        sock = self.sockets[0]
        return 0 if sock.family == _UNIX else int(sock.getsockname()[1])

    @property
    def is_unix(self) -> bool:
        """Whether it has a path and no URL."""
        return self.sockets[0].family == _UNIX

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return all(_is_local(sock) for sock in self.sockets)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()  # while the socket is open nothing else can have its file's number
        for sock in self.sockets:
            sock.close()


def listen(host: str, port: int) -> Listening:
    """Listen on ``host`` and ``port`` (0: any free one, the same for all its addresses).

    Clients that connect before the server is ready wait in the backlog and are served first.
    Raises AddressInUse, or ConfigError for an address that this machine does not have.
    """
    try:
        sockets = _bind_all(_addresses(host, port), port)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "it is not a host name"
        raise ConfigError(f"Cannot listen on host {host!r}: {reason}.") from None
    except OSError as error:
        raise _explained(error, host, port) from None
    for sock in sockets:
        sock.setblocking(False)
    name = host if len(sockets) > 1 else None
    return Listening(sockets, url(sockets[0], name), host)


def inherit(descriptor: int) -> Listening:
    """Listen on a socket that the parent process opened, as systemd does for a socket unit.

    Raises ConfigError where the descriptor is no bound stream socket.
    """
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigError(f"Descriptor {descriptor} (fd) is no socket: {reason}.") from None
    try:
        _check_inherited(sock)
        sock.listen(BACKLOG)
    except (OSError, ValueError) as error:
        sock.detach()  # whoever opened it may have a use for it
        raise ConfigError(
            f"Descriptor {descriptor} (fd) is not a socket to listen on: {error}."
        ) from None
    sock.setblocking(False)
    sock.set_inheritable(False)
    if sock.family == _UNIX:
        return Listening([sock], f"unix:{os.fsdecode(sock.getsockname())}", "localhost")
    return Listening([sock], url(sock), sock.getsockname()[0])


def url(sock: socket.socket, name: str | None = None) -> str:
    """Where a browser on this machine finds the socket; by ``name`` if there is one."""
    host, port = sock.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if name is not None:
        return f"http://{name}:{port}"
    if address.is_unspecified:
        both = address.version == 4 or not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        return f"http://127.0.0.1:{port}" if both else f"http://[::1]:{port}"
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Families and addresses, without a port. Raises gaierror, or UnicodeError for no name."""
    name = host.removeprefix("[").removesuffix("]")
    if is_loopback(name) and address_of(name) is None:
        both: list[tuple[int, tuple[Any, ...]]] = [(socket.AF_INET, ("127.0.0.1",))]
        return [*both, (socket.AF_INET6, ("::1",))] if socket.has_ipv6 else both
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # What follows the port is an IPv6 address's scope, without which fe80::… means nothing.
    return list(dict.fromkeys((int(each[0]), (each[4][0], *each[4][2:])) for each in found))


def _bind_all(addresses: list[tuple[int, tuple[Any, ...]]], port: int) -> list[socket.socket]:
    for draw in range(1, _DRAWS + 1):
        try:
            return _bind_each(addresses, port)
        except OSError as error:
            if port or len(addresses) == 1 or error.errno != errno.EADDRINUSE or draw == _DRAWS:
                raise
    raise AssertionError("unreachable")


def _bind_each(addresses: list[tuple[int, tuple[Any, ...]]], port: int) -> list[socket.socket]:
    """A socket for each address that is to be had here, all of one port. Raises OSError."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, (host, *scope) in addresses:
        both = host == "::" and socket.has_dualstack_ipv6()
        try:
            # With SO_REUSEADDR on POSIX, where it only forgives TIME_WAIT; see create_server.
            sock = socket.create_server(
                (host, port, *scope), family=family, backlog=BACKLOG, dualstack_ipv6=both
            )
        except OSError as error:
            if error.errno in _NOT_HERE:
                missing = error
                continue
            for bound in sockets:
                bound.close()
            raise
        port = sock.getsockname()[1]
        sockets.append(sock)
    if missing is not None and not sockets:
        raise missing
    return sockets


def _check_inherited(sock: socket.socket) -> None:
    """Raises ValueError, which says what is wrong."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6, _UNIX):
        raise ValueError("it is of another family than TCP and Unix sockets")
    if sock.type != socket.SOCK_STREAM:
        raise ValueError("it is not a stream socket")
    name = sock.getsockname()
    if not (name if sock.family == _UNIX else name[1]):
        raise ValueError("it is bound to no address")
    try:
        sock.getpeername()
    except OSError:
        return
    raise ValueError("it is a connection, as inetd passes them")


def _is_local(sock: socket.socket) -> bool:
    return sock.family == _UNIX or is_loopback(sock.getsockname()[0])


def _explained(error: OSError, host: str, port: int) -> StartupError:
    where = f"{host} port {port}"
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(
            f"Another process listens on {where}; stop it, or choose another port with --port "
            "(0 picks a free one)."
        )
    if error.errno == errno.EACCES:
        return ConfigError(f"Listening on {where} needs more rights; use a port from 1024 up.")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return ConfigError(f"Cannot listen on {where}: {reason}.")
