"""The listening socket, taken before anything slow or costly begins."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import Final

from tailrace.errors import AddressInUse, ConfigError, StartupError

# uvicorn's own default; the system may allow less.
BACKLOG: Final = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` and ``port`` (0: any free one).

    Clients that connect before the server is ready wait in the backlog and are served first.
    Raises AddressInUse, or ConfigError for an address that this machine does not have.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With SO_REUSEADDR on POSIX, where it only forgives TIME_WAIT; see create_server.
        listener = socket.create_server((address[0], port), family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise ConfigError(f"Cannot listen on host {host!r}: {error.strerror}.") from None
    except OSError as error:
        raise _explained(error, host, port) from None
    listener.setblocking(False)
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; names other than localhost may be anyone's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def url(listener: socket.socket) -> str:
    """Where a browser on this machine finds the listener."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return f"http://127.0.0.1:{port}"
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"


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
