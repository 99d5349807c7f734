"""The seam between our HTTP/1.1 protocol and what answers requests: a connection, as a response
that goes on without its request's task sees it.

The protocol offers it in the ASGI scope, as the extension `EXTENSION`. Under a server that is not
ours there is none, and the same bytes go through ASGI ``send``.
"""

from __future__ import annotations

from typing import Final, Protocol

from tailrace.contracts.streams import SinkOwner

EXTENSION: Final = "tailrace.connection"
"""Under which name the scope's ``extensions`` have the connection."""


class Connection(Protocol):
    """What an application may do with the connection that its request came on."""

    @property
    def peer(self) -> tuple[str, int] | None:
        """The client's address and port, or None on a Unix socket."""
        ...

    @property
    def written(self) -> int:
        """Bytes of the body that ``write`` took."""
        ...

    @property
    def full(self) -> bool:
        """Whether the transport has enough for now."""
        ...

    def stream_to(self, reader: SinkOwner | None) -> None:
        """Allow ``write`` from now on; ``reader`` hears of room and of the client's leaving.

        None: whoever wrote has stopped. Raises RuntimeError for a body whose length was announced
        or that has not begun.
        """
        ...

    def write(self, data: bytes) -> bool:
        """Give ``data``, which is not empty, to the transport; False: it has enough for now."""
        ...

    def end(self) -> bool:
        """End the body; False: the client is gone."""
        ...

    def abort(self) -> None:
        """Close the connection now, so that a body without its end is seen to be cut."""
        ...
