"""Hearing that the process is asked to end, beside the server that it belongs to.

uvicorn, Granian and Hypercorn wait for their connections to close and only then tell the
application; an open event stream closes only once the application knows. So the signal is heard
here as well: handlers are *chained*, the one that was there is called as before.

``loop.add_signal_handler`` is chained in the same way: its own handler does nothing, the signal
reaches the loop through the wakeup descriptor, which is written whatever the handler is.

A signal that nobody handles is left alone: it ends the process at once, as its owner wanted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

_ENDING: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")  # Ctrl-Break is what Windows can send a process
    if hasattr(signal, name)
)


class Chain:
    """Calls ``leave`` from the signal handler, then whoever was there before."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._previous: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._mine = self._handle  # one object, to be known again

    def install(self) -> None:
        """Chain what is handled. Does nothing outside the main thread, where Python forbids it."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING:
            previous = signal.getsignal(number)
            if callable(previous) and previous is not self._mine:
                self._previous[number] = previous
                signal.signal(number, self._mine)

    def remove(self) -> None:
        """Put back what was there, unless somebody came after us."""
        for number, previous in self._previous.items():
            if signal.getsignal(number) is self._mine:
                signal.signal(number, previous)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._leave()
        self._previous[number](number, frame)
