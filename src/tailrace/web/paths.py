"""The URLs of streams: two roots, one set of streams. Sans-I/O."""

from __future__ import annotations

from typing import Final, TypeAlias

from tailrace.errors import BadRequest, NotFound
from tailrace.wire.names import name_to_path, parse_name

Roots: TypeAlias = tuple[str, ...]
"""What the path of a stream may begin with; the first is what we write ourselves."""

ROOT: Final = "/streams/"
# The address that the Durable Streams protocol's examples, clients and test suite use.
ROOTS: Final[Roots] = (ROOT, "/v1/stream/")
# The protocol keeps names below it for its control APIs (6), of which there are none here.
_RESERVED: Final = "__ds"


def root_of(path: str, roots: Roots = ROOTS) -> str | None:
    """The root that a path is below, or None."""
    return next((root for root in roots if path.startswith(root)), None)


def name_of(path: str, roots: Roots = ROOTS) -> str:
    """The stream that a path names. Raises MalformedName, or NotFound for what is no stream."""
    root = root_of(path, roots)
    if root is None:
        raise NotFound("There is no stream at this path.")
    name = parse_name(path.removeprefix(root).encode("latin-1"))
    if name.split("/", 1)[0] == _RESERVED:
        raise NotFound("Names below __ds are reserved; subscriptions are not served here.")
    return name


def name_in_field(value: bytes, base: str, roots: Roots = ROOTS) -> str:
    """The stream that a header field names by its path. Raises BadRequest or MalformedName."""
    path = value.decode("latin-1").removeprefix(base)
    if root_of(path, roots) is None:
        raise BadRequest("Stream-Forked-From must be the path of a stream on this server.")
    return name_of(path, roots)


def stream_url(name: str, base: str = "", roots: Roots = ROOTS) -> str:
    """The path of a stream, as a client asks for it."""
    return f"{base}{roots[0]}{name_to_path(name)}"
