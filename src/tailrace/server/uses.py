"""The table of uses: one line for each. What a use brings is in `tailrace.web.use`."""

from __future__ import annotations

from typing import Final

from tailrace import stores
from tailrace.chat.use import CHAT
from tailrace.config import Schema, Settings
from tailrace.contracts import Namespace
from tailrace.web.use import Use

USES: Final[tuple[Use, ...]] = (
    CHAT,
)  # fmt: skip

_LATER: Final = "Names below {} are reserved for what the server will keep there; choose another."
# Uses to come. Streams that have such a name already stay as they are.
RESERVED: Final = tuple(
    Namespace(prefix, closed_to_clients=_LATER.format(prefix))
    for prefix in ("logs/", "tasks/", "files/")
)


def schema(uses: tuple[Use, ...] = USES) -> Schema:
    """Return what a server with these uses may be configured with.

    Raises ValueError where two of them bring a setting of the same name.
    """
    arrays = {name: parse for use in uses for name, parse in use.arrays.items()}
    brought = (table for use in uses for table in use.settings)
    return Schema((Settings, *stores.SETTINGS, *brought), arrays)


def namespaces(uses: tuple[Use, ...] = USES) -> tuple[Namespace, ...]:
    """Return the namespaces of these uses, and those that are reserved for others."""
    brought = tuple(use.namespace for use in uses)
    taken = {namespace.prefix for namespace in brought}
    return (*brought, *(each for each in RESERVED if each.prefix not in taken))


SCHEMA: Final = schema()
