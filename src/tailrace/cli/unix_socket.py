"""A Unix socket at a path: who may connect, and what may be replaced.

    what is at the path                            what is done
    ---------------------------------------------  ----------------------------------------------
    nothing                                        the socket is made
    a socket on which nobody listens               it is replaced: a server was killed
    a socket on which somebody listens             AddressInUse
    a socket of which that cannot be told          ConfigError
    anything else: a file, a directory, a link     ConfigError

Nothing but a socket that nobody listens on is ever removed, at the end no other than our own.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from tailrace.cli.listener import BACKLOG, Listening
from tailrace.errors import AddressInUse, ConfigError

_NOBODY_LISTENS: Final = (errno.ECONNREFUSED,)
# EAGAIN: its backlog is full, so there is one.
_SOMEBODY_LISTENS: Final = (0, errno.EAGAIN, errno.EINPROGRESS)


def listen(path: str, mode: int) -> Listening:
    """Listen on a socket at ``path`` with the permission bits ``mode``.

    Raises AddressInUse, or ConfigError for a path that cannot be used.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigError("This system's Python has no Unix sockets; leave uds out.")
    file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_room(file)
        _bind(sock, file, mode)
        found = file.lstat()
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _explained(error, file) from None
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return Listening([sock], f"unix:{file}", "localhost", lambda: _remove(file, found))


def _bind(sock: socket.socket, file: Path, mode: int) -> None:
    """Make the socket's file with ``mode``.

    A directory's default access list may add permissions that the umask denies. That is harmless:
    a socket refuses connections until ``listen``, and the mode is set before.
    """
    before = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(file))
    finally:
        os.umask(before)
    file.chmod(mode)


def _make_room(file: Path) -> None:
    try:
        found = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"{file} (uds) exists and is not a socket; name another path.")
    answer = _call(file)
    if answer in _SOMEBODY_LISTENS:
        raise _taken(file)
    if answer not in _NOBODY_LISTENS:
        reason = os.strerror(answer)
        raise ConfigError(f"Whether anybody listens on {file} (uds) cannot be told: {reason}.")
    _take_away(file)


def _call(file: Path) -> int:
    """The error number of a connection to the socket; 0: somebody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(file))


def _take_away(file: Path) -> None:
    """Remove what was found stale, and nothing that came into its place since: what was moved
    aside is called once more, and put back where it answers."""
    aside = file.with_name(f".{file.name[:40]}.{secrets.token_hex(4)}")
    file.rename(aside)
    answer = _call(aside)
    if answer not in _NOBODY_LISTENS:
        with suppress(FileExistsError):
            os.link(aside, file)
    aside.unlink()
    if answer not in _NOBODY_LISTENS:
        raise _taken(file)


def _remove(file: Path, ours: os.stat_result) -> None:
    with suppress(OSError):
        if os.path.samestat(file.lstat(), ours):
            file.unlink()


def _taken(file: Path) -> AddressInUse:
    return AddressInUse(f"Another process listens on {file}; stop it, or name another --uds.")


def _explained(error: OSError, file: Path) -> ConfigError | AddressInUse:
    if error.errno == errno.EADDRINUSE:
        return _taken(file)
    if error.errno is None:  # Python's own check of the length
        most = "107 bytes on Linux, 103 elsewhere"
        return ConfigError(f"The path {file} (uds) is too long: at most {most}.")
    return ConfigError(f"Cannot listen on {file} (uds): {os.strerror(error.errno)}.")
