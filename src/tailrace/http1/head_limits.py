"""How large a request's head may be, counted while it arrives. Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.errors import HeadersTooLarge, UriTooLong


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request's head may be. Sizes in bytes, time in seconds."""

    max_url: int = 64 * 1024
    """Of the request target: room for a prompt of 7 000 Chinese characters (nine bytes each,
    percent-encoded) or 60 000 of ASCII; longer ones are POSTed."""
    max_header: int = 64 * 1024
    """Of all fields together, and of a body's trailer. Go allows 1 MB, nginx 32 KiB."""
    max_fields: int = 256
    """Fields in one head. Browsers send about twenty, proxies add a dozen."""
    head_timeout: float = 30.0
    """From connecting, or from the first byte on a kept connection, to a complete head. A
    head fits into a few packets: whoever needs longer holds a socket for its own sake."""


class HeadMeter:
    """Counts one request's target and fields, and what the parser has not told of yet.

    httptools keeps an unfinished field (or chunk extension) to itself, so bytes of a read that
    brought no callback count as header bytes: memory is bound by the limit and one read.
    """

    __slots__ = ("_count", "_heard", "_limits", "_size", "_unheard")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._size = 0
        self._heard = False
        self._unheard = 0

    def restart(self) -> None:
        """A head begins, or ends: what follows may have a trailer of the same size."""
        self._count = self._size = 0
        self._heard = True

    def hear(self) -> None:
        """The parser called back."""
        self._heard = True

    def target(self, size: int) -> None:
        """The target has come to ``size`` bytes. Raises UriTooLong."""
        self._heard = True
        if size > self._limits.max_url:
            raise UriTooLong(
                f"The request target is over the limit of {self._limits.max_url} bytes;"
                " send long input in the body of a POST."
            )

    def field(self, name: bytes, value: bytes) -> None:
        """A field is whole. Raises HeadersTooLarge."""
        self._heard = True
        self._count += 1
        self._size += len(name) + len(value) + len(": \r\n")
        self._check()

    def read(self, size: int) -> None:
        """The parser took a read of ``size`` bytes. Raises HeadersTooLarge."""
        self._unheard = 0 if self._heard else self._unheard + size
        self._heard = False
        self._check()

    def _check(self) -> None:
        limits = self._limits
        if self._size + self._unheard > limits.max_header or self._count > limits.max_fields:
            raise HeadersTooLarge(
                f"The header section is over the limit of {limits.max_header} bytes"
                f" or {limits.max_fields} fields."
            )
