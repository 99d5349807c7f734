"""The kinds of value that a setting can have, each with its one spelling in the docs.

A kind reads what flags and the environment give (text) and what TOML gives (text, numbers,
booleans, arrays) and raises ValueError whose message completes "… must be": it says what is
wanted and never repeats the value, which may be secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from tailrace.config.base_url import parse_base_url
from tailrace.errors import ConfigError

T = TypeVar("T")
Word = TypeVar("Word", bound=str)

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", re.ASCII)
_YES: Final = ("true", "yes", "on", "1")
_NO: Final = ("false", "no", "off", "0")
_DISCONNECT: Final = re.compile(r"(?:cancel|keep(?:=[0-9]{1,9})?|detach)?")
_HOST: Final = re.compile(r"[^\s/@?#,]+")
# What browsers send, in ASCII: also of a page that an application or an extension brings along.
# ``null``, which every sandboxed page may send, has no scheme.
_ORIGIN: Final = re.compile(r"\*|[a-z][a-z0-9+.-]*://(?:(?![/@?#,])[!-~])+", re.ASCII)
_MODE: Final = re.compile(r"0?[0-7]{3}", re.ASCII)
# RFC 9110, section 5.5: a field value is visible ASCII, and a key goes into one.
_CREDENTIAL: Final = re.compile(r"[\x21-\x7e]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How values of one kind are read and shown."""

    parse: Callable[[object], T]
    """Raises ValueError; see the module's docstring."""
    show: Callable[[T], str]
    """The spelling that ``parse`` reads back to an equal value; used in help and docs."""
    metavar: str
    """What stands for the value in ``--help``."""


def text() -> Kind[str]:
    """One line of text."""
    return Kind(_text, str, "TEXT")


def path() -> Kind[str]:
    """The name of a file or directory, as the operating system takes it."""
    return Kind(_text, str, "PATH")


def credential() -> Kind[str]:
    """A key or token: what an HTTP header can carry after ``Bearer``."""

    def parse(value: object) -> str:
        token = value.strip() if isinstance(value, str) else None
        if token is None or not _CREDENTIAL.fullmatch(token):
            raise ValueError("visible ASCII characters without spaces")
        return token

    return Kind(parse, str, "SECRET")


def base_url() -> Kind[str]:
    """An http(s) URL without credentials, query or fragment; no slash at its end."""
    wanted = "a base URL such as http://127.0.0.1:11434/v1, without credentials or a query"

    def parse(value: object) -> str:
        url = _text(value)
        try:
            if url:
                parse_base_url(url)
        except ConfigError:
            raise ValueError(wanted) from None
        return url.rstrip("/")

    return Kind(parse, str, "URL")


def switch() -> Kind[bool]:
    """true or false."""

    def parse(value: object) -> bool:
        if isinstance(value, bool):
            return value
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in _YES + _NO:
            raise ValueError("true or false")
        return word in _YES

    return Kind(parse, lambda value: str(value).lower(), "true|false")


def choice(*options: Word) -> Kind[Word]:
    """One of a few words."""

    def parse(value: object) -> Word:
        for option in options:
            if value == option:
                return option
        raise ValueError(" or ".join(options))

    return Kind(parse, str, "|".join(options))


def disconnect() -> Kind[str]:
    """What leaving means for an answer, as `log/attendance.py` reads it; empty: not said."""

    def parse(value: object) -> str:
        word = _text(value)
        if not _DISCONNECT.fullmatch(word):
            raise ValueError("cancel, keep, keep=SECONDS or detach")
        return word

    return Kind(parse, str, "cancel|keep|keep=N|detach")


def integer(least: int, most: int) -> Kind[int]:
    """A whole number within bounds."""

    def parse(value: object) -> int:
        digits = value.strip() if isinstance(value, str) else value
        if isinstance(digits, str) and re.fullmatch(r"[0-9]{1,18}", digits, re.ASCII):
            digits = int(digits)
        if not isinstance(digits, int) or isinstance(digits, bool) or not least <= digits <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return digits

    return Kind(parse, str, "N")


def descriptor() -> Kind[str]:
    """The number of an open file descriptor, in digits; empty: none."""
    number = integer(0, 1 << 20)
    return Kind(lambda value: "" if value == "" else str(number.parse(value)), str, "N")


def mode() -> Kind[str]:
    """The permission bits of a file, as octal digits.

    Text in TOML, too: there ``440`` would be another number than it is to ``chmod``.
    """

    def parse(value: object) -> str:
        digits = value.strip() if isinstance(value, str) else ""
        if not _MODE.fullmatch(digits):
            raise ValueError('permission bits in octal, as text, such as "0600" or "0660"')
        return digits

    return Kind(parse, str, "MODE")


def seconds(least: float, most: float) -> Kind[float]:
    """A duration: a number of seconds, or a number with one of ms, s, m, h, d."""
    bounds = f"a duration from {show_seconds(least)} to {show_seconds(most)}, such as 90, 20ms, 10m"

    def parse(value: object) -> float:
        amount = _quantity(value, _SECONDS)
        if amount is None or not least <= amount <= most:
            raise ValueError(bounds)
        return amount

    return Kind(parse, show_seconds, "DURATION")


def size(least: int, most: int) -> Kind[int]:
    """A number of bytes, or a number with one of KiB, MiB, GiB."""
    bounds = f"a size from {show_size(least)} to {show_size(most)}, such as 65536 or 64KiB"

    def parse(value: object) -> int:
        amount = _quantity(value, _BYTES)
        if amount is None or not amount.is_integer() or not least <= amount <= most:
            raise ValueError(bounds)
        return int(amount)

    return Kind(parse, show_size, "SIZE")


def hosts() -> Kind[tuple[str, ...]]:
    """Host names or addresses, without a scheme."""
    return _several(_HOST, "host names without scheme or path, such as chat.example.org", "HOST,…")


def origins() -> Kind[tuple[str, ...]]:
    """Origins as browsers send them, ``scheme://host`` with an optional port, or ``*`` for all."""
    wanted = "origins such as https://chat.example.org or app://obsidian.md, or *"
    return _several(_ORIGIN, wanted, "ORIGIN,…")


def show_seconds(value: float) -> str:
    """The duration in the largest unit that needs no fraction."""
    for unit in ("d", "h", "m", "s"):
        if value >= _SECONDS[unit] and (value / _SECONDS[unit]).is_integer():
            return f"{value / _SECONDS[unit]:.0f}{unit}"
    if 0 < value < 1 and round(value * 1000, 6).is_integer():
        return f"{value * 1000:.0f}ms"
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def show_size(value: int) -> str:
    """The size in the largest unit that needs no fraction."""
    for unit in ("GiB", "MiB", "KiB"):
        if value >= _BYTES[unit] and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return f"{value}B"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("one line of text")
    return value.strip()


def _quantity(value: object, units: dict[str, float] | dict[str, int]) -> float | None:
    """The amount in the base unit, or None where ``value`` spells none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return float(value) if math.isfinite(value) else None
    match = _QUANTITY.fullmatch(value.strip())
    if match is None or (match[2] and match[2] not in units):
        return None
    # Rounded, so that 20ms is 0.02 and not its neighbour in binary.
    return round(float(match[1]) * (units[match[2]] if match[2] else 1), 9)


def _several(item: re.Pattern[str], wanted: str, metavar: str) -> Kind[tuple[str, ...]]:
    def parse(value: object) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list):
            raise ValueError(wanted)
        names = [part.strip() for part in parts if isinstance(part, str)]
        if len(names) < len(parts) or not all(map(item.fullmatch, filter(None, names))):
            raise ValueError(wanted)
        return tuple(name for name in names if name)

    return Kind(parse, ",".join, metavar)
