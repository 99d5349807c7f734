"""The root of the tree of errors, in a module of its own so that each branch can import it."""

from __future__ import annotations

from typing import ClassVar, Literal

Fault = Literal["client", "upstream", "server", "operator"]


class TailraceError(Exception):
    """The root. ``str(error)`` is fit for the one whose fault it is to read."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    fault: ClassVar[Fault] = "server"
