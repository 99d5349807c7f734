"""How many tokens a text may be, where nobody has counted them.

A rough rule, the same for every model, and always the same for one text. Vocabularies differ too
much for more: it is to set a size, never to be shown as a count, or charged.

    what                                     a token is
    a word of Latin letters                  6 letters, or what is left
    a word of another alphabet               3 letters, or what is left
    a Chinese, Japanese or Korean character  itself
    a number                                 3 digits, or what is left
    line ends                                the whole run
    other white space                        part of what follows
    anything else: signs, emoji              itself; 4 equal ones in a row are one

A long text takes long: it is for a thread, not for the event loop.
"""

from __future__ import annotations

import re
from typing import Final

# The scripts that are written without spaces between words: Kana, Han and its extensions, Hangul.
_CJK: Final = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
# What repeats more than a set of characters takes memory for each time, so it is bounded, by a
# multiple of what one token is: a longer run is estimated the same in several parts.
_UNITS: Final = re.compile(
    rf"([A-Za-z\u00c0-\u024f]+)|([{_CJK}])|(\d+)|([\r\n]+)|((?:(?![{_CJK}])[^\W\d_]){{1,300}})|(\S)\6{{0,399}}"
)
# Characters in one token, by the group that matched; none for a run that is one however long.
_SIZES: Final = (0, 6, 1, 3, 0, 3, 4)


# English prose has four to five characters a token; a request's JSON has names and quotes, too.
_BYTES: Final = 4


def estimated_request(size: int) -> int:
    """The same for a request of so many bytes, of which nobody looks at the text."""
    return size // _BYTES


def estimated_tokens(text: str) -> int:
    """The estimate; 0 for nothing, or nothing but spaces."""
    total = 0
    for unit in _UNITS.finditer(text):
        size = _SIZES[unit.lastindex or 0]
        total += -(-(unit.end() - unit.start()) // size) if size else 1
    return total
