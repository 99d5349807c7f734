"""Where answers live, and who may read them."""

from __future__ import annotations

from typing import Final

from tailrace.contracts import Namespace, Right

NAMESPACE: Final = Namespace(
    "chat/",
    # The name holds 80 random bits, and is told to nobody but who asked: a link is a permission.
    read=Right.READ_LINK,
    closed_to_clients="Streams below chat/ are answers; make one at /stream or /v1 instead.",
    private=True,
    part="id",
)
PREFIX: Final = NAMESPACE.prefix
