"""What may be asked again, and how long to wait before. Sans-I/O.

    the answer's head           asked again?
    --------------------------  ------------------------------------------------------------
    408, 429, 5xx but for 501   yes, unless ``x-should-retry: false``
      and blames the request    no (``wire/blame.py``)
    401, 403                    with another key of ours, where there is one
    anything else               no: what it says, another try would say too

409 is not among them, although OpenAI's SDKs retry it: who made the conflict should know of it.
"""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from tailrace.contracts import Headers

# Nine tries in at most 2.75 s of waiting (0.05 + 0.1 + 0.2 + 0.4 + 4 × 0.5), and in 2 s as a
# rule: within the default budget, with time left for the tries themselves.
FIRST: Final = 0.05
LAST: Final = 0.5
_CLIENT_RETRIES: Final = b"x-stainless-retry-count"
_MILLISECONDS: Final = b"retry-after-ms"  # OpenAI's and Azure's; more exact, so it wins


def delay(failures: int, draw: float) -> float:
    """Seconds until the next try after so many ``failures`` (1, 2, …).

    ``draw``, a random number in [0, 1), takes up to half off, so that those who failed together
    do not come back together.
    """
    full = min(LAST, FIRST * 2.0 ** min(failures - 1, 32))
    return full * (1 + draw) / 2


def is_retryable(status: int, headers: Headers) -> bool:
    """Whether such an answer may be given up for another try. See the table above."""
    if status not in (408, 429) and not (500 <= status <= 599 and status != 501):
        return False
    # What openai-python and openai-node go by, too.
    return dict(headers).get(b"x-should-retry", b"").strip().lower() != b"false"


def is_client_retry(headers: Headers) -> bool:
    """Whether the client tries again by itself, and this is such a try.

    The official SDKs of OpenAI and Anthropic count their tries in a field, from 0.
    """
    counts = [value for name, value in headers if name.lower() == _CLIENT_RETRIES]
    return any(count.strip().isdigit() and count.strip(b" \t0") != b"" for count in counts)


def retry_after(headers: Headers, wall: float) -> float | None:
    """Seconds to wait as the answer asks (RFC 9110 §10.2.3), or None where it does not.

    ``wall`` is the time in seconds since the epoch, which an HTTP date is measured against.
    """
    fields = dict(headers)
    milliseconds = _number(fields.get(_MILLISECONDS, b""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = fields.get(b"retry-after", b"")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    return _until(value, wall)


def _number(value: bytes) -> float | None:
    """RFC 9110 has digits alone; some send fractions."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(value: bytes, wall: float) -> float | None:
    try:
        date = parsedate_to_datetime(value.decode("latin-1"))
        at = date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return max(0.0, at - wall)
