"""What every response says to browsers, so that no bytes of others become a document of our origin.

A page of our origin may do everything here. So ``Exchange`` passes each response's head through
``isolated``, which is an allow-list: a route that nobody thought of is isolated, too.

    the response                                   nosniff   Content-Security-Policy
    ---------------------------------------------  --------  -------------------------------
    has a policy already: our own page             yes       its own
    of a passive type (``wire/media_type.py``)     yes       none
    any other, of no type or of several            yes       a sandbox
    204 and 304 without a type: nothing to show    yes       none

``headers.py`` drops an upstream's policy, so a policy that a response has here is ours.
"""

from __future__ import annotations

from typing import Final

from tailrace.contracts import Headers
from tailrace.wire.media_type import is_passive

_TYPE: Final = b"content-type"
_POLICY: Final = b"content-security-policy"
_SNIFFING: Final = b"x-content-type-options"

NOSNIFF: Final = (_SNIFFING, b"nosniff")
# ``sandbox`` takes the origin and the scripts away; the rest, what would be fetched in its name.
SANDBOX: Final = (_POLICY, b"sandbox; default-src 'none'")
_EMPTY: Final = (204, 304)


def isolated(status: int, headers: Headers) -> list[tuple[bytes, bytes]]:
    """The fields of a response, their names in lower case, with those that isolate it."""
    fields = [field for field in headers if field[0] != _SNIFFING]
    fields.append(NOSNIFF)
    if not _is_harmless(status, fields):
        fields.append(SANDBOX)
    return fields


def _is_harmless(status: int, fields: Headers) -> bool:
    if any(name == _POLICY for name, _ in fields):
        return True
    types = [value for name, value in fields if name == _TYPE]
    if not types:
        return status in _EMPTY
    return len(types) == 1 and is_passive(types[0].decode("latin-1"))
