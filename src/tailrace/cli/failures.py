"""What stops the command, in one line that says what to do about it."""

from __future__ import annotations

import errno
import os
import traceback
from typing import Final

_ADVICE: Final = {
    errno.EMFILE: "Too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "Too many open files on this machine",
    errno.ENOMEM: "There is not enough memory",
    errno.EAGAIN: "Too many processes or threads: raise the limit (ulimit -u)",
}


def in_one_line(error: BaseException) -> str:
    """What to print in a traceback's place, for what no code of ours had foreseen."""
    if isinstance(error, MemoryError):
        return "There is not enough memory."
    if isinstance(error, OSError) and error.errno:
        reason = _ADVICE.get(error.errno, os.strerror(error.errno))
        about = f": {error.filename}" if isinstance(error.filename, str) else ""
        return f"The system refused what the server needs. {reason}{about}."
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""  # noqa: PTH119
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return f"A fault in Tailrace, please report it: {words}{where}"
