"""Options of an accepted TCP socket."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

# A dead peer is found after 60 + 4 × 15 s = 2 minutes; the systems' default is two hours.
_KEEPALIVE: Final = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPALIVE", 60),  # what macOS calls TCP_KEEPIDLE
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
)


def set_options(sock: socket.socket | None) -> None:
    """Notice dead peers, send tokens at once. What a platform lacks stays at its default."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ]
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    for level, option, value in options:
        with contextlib.suppress(OSError):
            sock.setsockopt(level, option, value)
