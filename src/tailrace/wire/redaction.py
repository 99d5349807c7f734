"""Keys of ours in what an upstream says, and ``[redacted]`` in their place. Sans-I/O.

    a key's character is found     as
    -----------------------------  ---------------------------------------------------
    in any text                    itself
    in JSON, and JSON in JSON      \\u0073, with any number of backslashes; \\/ and the like
    in URLs and forms              %73, %2573
    in HTML and XML                &#115; &#x73;

One key may mix them. What is looked at is whole: an event's data, a field's value, a refusal's
body. A body that is handed through as it comes is looked at by a ``Screen``, which finds a key
that is divided over two pieces, too. Not found is what only says the key: its parts in several
events, its bytes in another coding (base64, a compressed body).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

REDACTED: Final = b"[redacted]"

# Bytes of the longest spelling of one character that a screen waits for the rest of.
_LONGEST: Final = 16
# The beginning of a spelling, at the end of a piece.
_UNFINISHED: Final = rb"\\+(?:u[0-9A-Fa-f]{0,3})?|%(?:25)*[0-9A-Fa-f]?|&(?:#[xX]?[0-9A-Fa-f]*)?"
# A visible character, spelled in one of these ways.
_spells: Final = re.compile(rb"\\(?:u00[2-7]|/)|%(?:25)*[2-7][0-9A-Fa-f]|&#").search
# Bytes of keys by how seldom they are in an answer's events, the most seldom first.
_SELDOM: Final = (
    b"QXZJKYVWBUGHFPDMLRNSCIOETA=+/~!#$&*;<>?@^`|zqxjkvbywgpfmuhdlcrnsiotae9876543210-_."
)
# So many of a key's own are looked for before the key: each is found in a tenth of the time, and
# most events lack one of them. As numbers: Python looks for a byte seven times as fast as for
# bytes.
_PROBES: Final = 3
_BACKSLASH: Final = ord("\\")
_PERCENT: Final = ord("%")
_AMPERSAND: Final = ord("&")
_is_unfinished: Final = re.compile(_UNFINISHED).fullmatch


class _Key:
    """One key, and how it may be spelled."""

    def __init__(self, key: bytes) -> None:
        self.plain: Final = key
        seldom = [each for each in _SELDOM if each in key] or [key[0]]
        self.probes: Final = tuple(seldom[:_PROBES])
        self.lower: Final = key.lower()
        spellings = [_spelling(each) for each in key]
        self.spelled: Final = re.compile(b"".join(b"(?:%b)" % each for each in spellings))
        self._begins: Final = re.compile(b"(?:%b)|(?:%b)\\Z" % (spellings[0], _UNFINISHED))
        self._characters: Final = [re.compile(each) for each in spellings]

    def begins_in(self, data: bytes) -> int:
        """Where at the end of ``data`` a beginning of the key starts; its length: nowhere."""
        reach = max(0, len(data) - _LONGEST * len(self.plain))
        for match in self._begins.finditer(data, reach):
            if self._is_begun(data, match.start()):
                return match.start()
        return len(data)

    def _is_begun(self, data: bytes, place: int) -> bool:
        for character in self._characters:
            if place == len(data):
                return True
            match = character.match(data, place)
            if match is None:
                return _is_unfinished(data, place) is not None
            place = match.end()
        return False


class Redactor:
    """Called with bytes, gives them without any of ``keys``, nearly always as they are."""

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._plain: tuple[bytes, ...] = ()
        self._keys: tuple[_Key, ...] = ()
        self.remember(keys)

    def remember(self, keys: Iterable[bytes]) -> None:
        """Look for these, too."""
        known = {*self._plain, *keys}
        # A quote and a backslash have their own spelling in JSON.
        known |= {key.replace(b"\\", b"\\\\").replace(b'"', b'\\"') for key in known}
        # The longest first: one may begin with another.
        self._plain = tuple(sorted(known, key=len, reverse=True))
        self._keys = tuple(_Key(key) for key in self._plain)

    def __call__(self, data: bytes) -> bytes:
        """``data`` with ``[redacted]`` wherever a key stands."""
        if not self._keys:
            return data
        # Few tokens have a backslash or the like, and few of those have one that spells a letter.
        if (_BACKSLASH in data or _PERCENT in data or _AMPERSAND in data) and _spells(data):
            # Finds plain keys, too, and not those that seem to begin in a spelling's last digits.
            for found in self._keys:
                data = found.spelled.sub(REDACTED, data)
            return data
        for key in self._keys:
            for probe in key.probes:
                if probe not in data:
                    break
            else:
                data = data.replace(key.plain, REDACTED)
        return data

    def in_name(self, name: bytes) -> bool:
        """Whether a field's name holds a key, in letters of any size."""
        return any(key.lower in name.lower() for key in self._keys)

    def masked(self, data: bytes) -> bytes:
        """The same with something as long as what was there in its place."""
        spells = _spells(data) is not None
        for key in self._keys:
            if spells or key.plain in data:
                data = key.spelled.sub(_mask, data)
        return data

    def begins_in(self, data: bytes) -> int:
        """Where at the end of ``data`` the beginning of a key starts; its length: nowhere."""
        return min((key.begins_in(data) for key in self._keys), default=len(data))


class Screen:
    """One body that is handed through in pieces. Its length stays as it was."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What may be handed on by now; what may begin a key is held until more is known."""
        data = self._redactor.masked(self._held + piece if self._held else piece)
        end = self._redactor.begins_in(data)
        self._held = data[end:]
        return data[:end]

    def finish(self) -> bytes:
        """The body has ended: what was held is no key."""
        held, self._held = self._held, b""
        return held


def _spelling(character: int) -> bytes:
    """A pattern for one character of a key. Each alternative begins with a literal character,
    so that the search can skip what begins none."""
    itself = re.escape(bytes((character,)))
    code = b"%02x" % character
    digits = b"".join(
        b"[%c%c]" % (each, each - 32) if each >= ord("a") else b"%c" % each for each in code
    )
    ways = [
        rb"\\\\*u00" + digits,
        rb"%(?:25)*" + digits,
        rb"&#0*" + b"%d;" % character,
        rb"&#[xX]0*" + digits + rb";",
    ]
    if not bytes((character,)).isalnum():
        ways.append(rb"\\\\*" + itself)
    return b"|".join([*ways, itself])


def _mask(found: re.Match[bytes]) -> bytes:
    size = len(found[0])
    return (REDACTED + b"*" * size)[:size]
