"""A limit on how many of a thing there are at a time."""

from __future__ import annotations

from tailrace.errors import TooMany


class Allowance:
    """So many of a thing at a time.

    >>> with allowance: ...    # raises TooMany where there is none left
    """

    def __init__(self, most: int, refusal: str) -> None:
        self._left = most
        self._refusal = refusal

    def __enter__(self) -> None:
        if self._left <= 0:
            raise TooMany(self._refusal)
        self._left -= 1

    def __exit__(self, *_: object) -> None:
        self._left += 1
