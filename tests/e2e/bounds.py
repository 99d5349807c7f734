"""What one client's bytes, or one upstream's, may take of a server's memory and of others' time.

To print what was measured, give pytest ``-s``.
"""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.harness import Server

# Of the bytes that came, as docs/guarantees.md has it.
MEMORY = 8
# Seconds of the server's own thread that a request of somebody else may wait for.
WAIT = 0.1


def of_a_status(server: Server, name: str) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    match = re.search(rf"{name}:\s+(\d+) kB", status)
    assert match
    return int(match[1]) * 1024


class Others(threading.Thread):
    """Clients who ask for something small all the time.

    How long they wait is measured in time that the server's thread had the processor for:
    whatever else runs on the machine does not count.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0
        self._server = server
        self._over = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._server.host, self._server.port)
        while not self._over.is_set():
            before = self._worked()
            connection.request("GET", "/health")
            connection.getresponse().read()
            self.longest = max(self.longest, self._worked() - before)
        connection.close()

    def stop(self) -> float:
        """The longest that anybody waited, in seconds."""
        self._over.set()
        self.join()
        return self.longest

    def _worked(self) -> float:
        pid = self._server.pid
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def within_bounds(server: Server, name: str, size: int) -> Iterator[None]:
    """Run the block, in which the server is given ``size`` bytes; what that took is within
    bounds."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # VmHWM begins anew
    before = of_a_status(server, "VmRSS")
    others = Others(server)
    others.start()
    try:
        yield
    finally:
        waited = others.stop()
    took = (of_a_status(server, "VmHWM") - before) / size
    print(f"{name}: {took:.1f} times its bytes, others waited {1000 * waited:.0f} ms")
    assert took <= MEMORY
    assert waited <= WAIT
