"""What this server cannot do now: store, hold or begin something."""

from __future__ import annotations

from tailrace.errors.base import TailraceError


class StoreError(TailraceError):
    """The store cannot keep or give what was asked; nothing was acknowledged."""

    code = "store_unavailable"
    status = 503


class StoreOverloaded(StoreError):
    """More waits to be written than may; try again shortly."""

    code = "store_overloaded"


class StoreUnavailable(StoreError):
    """The storage fails; the store is trying to reopen it."""


class StoreRefused(StoreError):
    """The store is well, and cannot keep this one change; nothing of it was kept."""

    code = "store_refused"
    status = 500


class StoreFull(StoreError):
    """No space left on the device, or the configured limit is reached."""

    code = "store_full"
    status = 507


class BodiesFull(TailraceError):
    """As many bytes of requests are held as may be; this one's body was not read."""

    code = "bodies_full"
    status = 503


class ShuttingDown(TailraceError):
    """The server is going away; a client should come back in a moment."""

    code = "shutting_down"
    status = 503
