"""An upstream of threads and blocking sockets: a test sees what is read and sent, and when."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tests.e2e.harness import WITHIN

KIB: Final = 1024


class Peer:
    """A connection from the server, with blocking calls."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.head = b""
        self.early = b""
        self.read = 0
        """Bytes of the body so far."""
        self.digest = hashlib.sha256()

    def ask(self) -> bytes:
        """The request's head; what came of the body behind it is counted already."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        self.head, _, self.early = data.partition(b"\r\n\r\n")
        self._count(self.early)
        return self.head

    def take(self, size: int) -> None:
        """Read so much of the body; EOFError where it ends before."""
        buffer = bytearray(256 * KIB)
        while self.read < size:
            count = self.socket.recv_into(buffer, min(len(buffer), size - self.read))
            if not count:
                raise EOFError
            self._count(memoryview(buffer)[:count])

    def _some(self) -> bytes:
        """What comes next; EOFError where nothing does."""
        data = self.socket.recv(64 * KIB)
        if not data:
            raise EOFError
        return data

    def _count(self, data: bytes | memoryview) -> None:
        self.read += len(data)
        self.digest.update(data)

    def take_all(self) -> None:
        """Read the body, in whatever framing."""
        length = re.search(rb"content-length: (\d+)", self.head)
        if length is not None:
            self.take(int(length[1]))
            return
        end = self.early[-5:]
        while not end.endswith(b"0\r\n\r\n"):
            data = self._some()
            self._count(data)
            end = (end + data)[-5:]

    def say(self, status: str, body: bytes = b"") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)


class RawUpstream:
    """Runs ``serve`` for each connection, in a thread."""

    def __init__(self, serve: Callable[[Peer], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self.peers: list[Peer] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(WITHIN)
                peer = Peer(connection)
                self.peers.append(peer)
                threading.Thread(target=self._run, args=(peer,), daemon=True).start()

    def _run(self, peer: Peer) -> None:
        with peer.socket, suppress(EOFError, ConnectionError):
            self._serve(peer)

    def close(self) -> None:
        self._listener.close()
