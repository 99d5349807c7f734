"""How refusals quote what was given, and guess what was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

# Enough to recognise a value by, short enough for one line.
_QUOTE_LIMIT: Final = 60


def quoted(value: object) -> str:
    """``; it is 'value'``, or nothing where the value is long or may hold a password."""
    shown = repr(value)
    # An @ may stand after credentials in a URL.
    return "" if "@" in shown or len(shown) > _QUOTE_LIMIT else f"; it is {shown}"


def near(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: a guess at what was meant, or a full stop."""
    found = get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else "."
