"""What the views that speak a model's API say of an ending, in words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tailrace.model import Ending, EndingCode, EndingKind

# For endings that came without a reason of their own.
_WORDS: Final[Mapping[EndingKind, str]] = MappingProxyType(
    {
        EndingKind.CANCELLED: "The answer was stopped.",
        EndingKind.FAILED: "The answer failed.",
        EndingKind.CUT: "The upstream's connection ended in the middle of the answer.",
        EndingKind.STALLED: "The upstream fell silent in the middle of the answer.",
        EndingKind.INTERRUPTED: "The server stopped in the middle of the answer.",
        EndingKind.EXPIRED: "The answer is no longer kept.",
    }
)
FAREWELL: Final = "The server is going away before the answer ended; it may be read on later."


def words_for(ending: Ending) -> str:
    """A sentence for an ending that is not ``completed``."""
    return ending.reason or _WORDS[ending.kind]


def is_said(ending: Ending) -> bool:
    """Whether the stream's own data tell its ending already: the answer's end, or its error.

    A view is shared by readers at other places and remembers no data, so the ending tells.
    """
    return ending.whole or ending.code is EndingCode.REPORTED
