"""Options and questions for an accepted socket that its transport does not offer."""

from __future__ import annotations

import asyncio
import contextlib
import select
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


def has_unread(transport: asyncio.BaseTransport) -> bool:
    """Whether bytes, or the end, have come to the socket that its loop has not read yet."""
    sock = transport.get_extra_info("socket")
    descriptor = -1 if sock is None else sock.fileno()
    if descriptor < 0:
        return False
    if not hasattr(select, "poll"):  # Windows, whose select has no highest number
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
