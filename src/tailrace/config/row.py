"""One setting: what it means, and where it may come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tailrace.config.kinds import Kind

T = TypeVar("T")

ROW: Final = "tailrace row"
"""Under which a dataclass field carries its row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: what it means and where it may come from."""

    kind: Kind[Any]
    default: Any
    section: str
    help: str
    unset: str
    """What the default amounts to, in words, where its spelling would not say it."""
    has_flag: bool
    in_file: bool
    secret: bool
    key: str = ""

    @property
    def flag(self) -> str | None:
        """Its command-line flag; None for what must not show in process lists."""
        return f"--{self.key.replace('_', '-')}" if self.has_flag else None

    @property
    def env(self) -> str:
        """Its environment variable."""
        return f"TAILRACE_{self.key.upper()}"

    @property
    def default_text(self) -> str:
        """The default as a person would write it."""
        return self.unset or self.kind.show(self.default)


def row(
    default: T,
    kind: Kind[T],
    section: str,
    help: str,  # noqa: A002 -- the word that argparse and every reader knows
    *,
    unset: str = "",
    has_flag: bool = True,
    in_file: bool = True,
    secret: bool = False,
) -> T:
    """A dataclass field that carries its row. Typed as its value, as ``field`` itself is."""
    made = Row(kind, default, section, help, unset, has_flag, in_file, secret)
    declared: T = field(default=default, repr=not secret, metadata={ROW: made})
    return declared
