"""Starts a server as a child process, waits until it says where it listens, always ends it."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO

# A cold disk and a busy machine; a warm start takes a second or less.
_START_SECONDS = 60.0
_TAIL_LINES = 40


@contextlib.contextmanager
def launched(
    command: Sequence[str], announcement: re.Pattern[str], leave_seconds: float = 5.0
) -> Iterator[str]:
    """Run ``command``; gives group 1 of the first line of its output that has ``announcement``.

    The child is told to leave by the end of its standard input, so that it goes, too, when this
    process is killed, if it listens to that; ``leave_seconds`` later by a signal; so much later
    again it is killed.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_without_proxies(),
        text=True,
        errors="replace",
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        found: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        reader = threading.Thread(target=_watch, args=(child.stdout, announcement, found, tail))
        reader.start()
        try:
            yield _awaited(found, tail, command)
        finally:
            child.stdin.close()
            _end(child, leave_seconds)
            reader.join()


def _watch(
    output: IO[str],
    announcement: re.Pattern[str],
    found: queue.SimpleQueue[str | None],
    tail: deque[str],
) -> None:
    # To the end, also after the announcement: a full pipe would stop the child.
    for line in output:
        tail.append(line)
        if match := announcement.search(line):
            found.put(match[1])
    found.put(None)


def _awaited(found: queue.SimpleQueue[str | None], tail: deque[str], command: Sequence[str]) -> str:
    with contextlib.suppress(queue.Empty):
        if announced := found.get(timeout=_START_SECONDS):
            return announced
    raise RuntimeError(f"{command[0]} did not say where it listens; it said:\n{''.join(tail)}")


def _end(child: subprocess.Popen[str], patience: float) -> None:
    for nudge in (None, child.terminate, child.kill):
        if nudge is not None:
            nudge()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            return


def _without_proxies() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
