"""Ways to damage bytes, for all fuzzers: each takes dice and bytes, and gives other bytes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Final

# Values at which integers of parsers and of length fields turn over.
NUMBERS: Final = (
    0, 1, 2, 9, 10, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31,
    2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30,
)  # fmt: skip


def flip_bit(dice: random.Random, data: bytes) -> bytes:
    """Flip one bit."""
    if not data:
        return data
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def set_byte(dice: random.Random, data: bytes) -> bytes:
    """Give one byte another value, often one that means something to a parser."""
    if not data:
        return data
    at = dice.randrange(len(data))
    value = dice.choice(b'\0\t\n\r "%,:;\\{}[]\x7f\x80\xc0\xff') if dice.random() < 0.7 else None
    byte = dice.randrange(256) if value is None else value
    return data[:at] + bytes([byte]) + data[at + 1 :]


def span(dice: random.Random, data: bytes) -> slice:
    """A part of ``data``, usually a short one."""
    at = dice.randrange(len(data) + 1)
    longest = len(data) - at
    size = dice.randrange(longest + 1) if dice.random() < 0.2 else min(longest, dice.randrange(9))
    return slice(at, at + size)


def remove(dice: random.Random, data: bytes) -> bytes:
    """Take a part away."""
    part = span(dice, data)
    return data[: part.start] + data[part.stop :]


def repeat(dice: random.Random, data: bytes) -> bytes:
    """Say a part several times."""
    part = span(dice, data)
    times = dice.choice((2, 2, 3, 50))
    return data[: part.start] + data[part] * times + data[part.stop :]


def swap(dice: random.Random, data: bytes) -> bytes:
    """Let two parts change places."""
    first, second = sorted((span(dice, data), span(dice, data)), key=lambda each: each.start)
    if first.stop > second.start:
        return data
    middle = data[first.stop : second.start]
    return data[: first.start] + data[second] + middle + data[first] + data[second.stop :]


def cut(dice: random.Random, data: bytes) -> bytes:
    """End early."""
    return data[: dice.randrange(len(data) + 1)]


def insert(dice: random.Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    """Put a token somewhere."""
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice(tokens) + data[at:]


_ANY: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (
    flip_bit, set_byte, set_byte, remove, repeat, swap, cut,
)  # fmt: skip


def mutate(dice: random.Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    """Do one to four of these."""
    for _ in range(dice.choice((1, 1, 1, 2, 2, 4))):
        data = insert(dice, data, tokens) if dice.random() < 0.35 else dice.choice(_ANY)(dice, data)
    return data


def cuts(dice: random.Random, size: int, most: int) -> tuple[int, ...]:
    """Places to divide ``size`` bytes at, at most so many."""
    if size < 2:
        return ()
    count = dice.randrange(min(most, size - 1) + 1)
    return tuple(sorted(dice.sample(range(1, size), count)))


def divided(data: bytes, places: Sequence[int]) -> list[bytes]:
    """``data`` in parts; every place is within it or is passed over."""
    edges = [0, *(place for place in places if 0 < place < len(data)), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]
