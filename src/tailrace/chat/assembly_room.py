"""How much memory the answers that are read whole may take at a time.

the answer's events have              it is
------------------------------------  ----------------------------------------------------
more than ``max_assembled`` bytes     refused, 413: it can be read as a stream
more than SMALL, and with all others  refused, 429, until one of those has been sent
that are being sent more than that
anything less                         put together
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tailrace.errors import AnswerTooLarge, TooMany

# Bytes of events of an answer that is always put together: long ones have a tenth of it.
SMALL: Final = 256 * 1024


class AssemblyRoom:
    """How much may be put together at a time."""

    def __init__(self, limit: int) -> None:
        """``limit``: bytes of events, of one answer and of all."""
        self.limit: Final = limit
        self._held = 0

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """While an answer of ``size`` bytes of events is in memory.

        Raises AnswerTooLarge or TooMany.
        """
        if size > self.limit:
            raise self.too_large()
        if size > SMALL and self._held + size > self.limit:
            raise TooMany("As many large answers are being sent as may; ask again in a moment.")
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    def too_large(self) -> AnswerTooLarge:
        """The refusal of what is over the limit."""
        return AnswerTooLarge(
            f"This answer is larger than what is put together here ({self.limit} bytes, "
            "max_assembled); read it as a stream, with ?stream=true."
        )
