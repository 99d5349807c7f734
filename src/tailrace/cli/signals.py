"""What signals mean. SIGINT, SIGTERM: once, please stop; twice, stop now. SIGHUP: read again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_STOPPING: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")  # Ctrl-Break is what Windows can send a process
    if hasattr(signal, name)
)


@contextmanager
def stop_on_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Within, the first signal has ``stop`` called with its name on the running loop, the next
    one exits.

    The second leaves from the handler itself, by ``os._exit`` with 128 + the signal's number:
    it has to work when the loop is what hangs, and the store is made to survive it. By
    ``signal.signal``, because Windows' loops have no ``add_signal_handler``.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            # Not print: the handler may have interrupted one. And never an exception instead of the
            # exit, where nobody reads standard error or its disk is full.
            with suppress(OSError):
                os.write(2, b"tailrace: aborted\n")
            os._exit(128 + number)
        asked = True
        loop.call_soon_threadsafe(stop, signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def reload_on_signal(reload: Callable[[], None]) -> Iterator[None]:
    """Within, SIGHUP has ``reload`` called on the running loop; Windows has no such signal."""
    number = getattr(signal, "SIGHUP", None)
    if number is None:
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.signal(number, lambda *_: loop.call_soon_threadsafe(reload))
    try:
        yield
    finally:
        signal.signal(number, before)
