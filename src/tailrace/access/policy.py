"""What the operator decided about access, as one value.

A request is decided by the policy that holds when it comes. A reload (SIGHUP) replaces the policy
as a whole, so no request is decided by half of one and half of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tailrace.contracts import Right
from tailrace.wire.hosts import is_loopback


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided."""

    bound_host: str
    """The address given to listen on: an IP literal or a name."""
    port: int
    allowed_hosts: tuple[str, ...] = ()
    """Names that Host may have, of any port; ``.example.org`` allows all below it, too."""
    cors_origins: tuple[str, ...] = ()
    """Origins such as ``https://app.example.org`` of pages that may use this server, or ``*``."""
    token: str | None = field(default=None, repr=False)
    """What ASK and MANAGE need; None: nothing."""
    insecure: bool = False
    """The operator said that beyond loopback, too, no token is wanted."""
    judged: frozenset[Right] = frozenset()
    """Rights of which another application, that we are part of, has decided before us; if there
    are any, Host was its affair, too."""

    @property
    def needs_token(self) -> bool:
        """Whether this must not be started: it listens beyond loopback and asks for nothing."""
        return not (self.token or self.insecure or is_loopback(self.bound_host))

    @property
    def shared_caches(self) -> bool:
        """Whether caches that others use, too, may keep what is read.

        Where another application decides before us, only that application knows.
        """
        return not (self.token or self.judged)


NO_POLICY: Final = Policy("", 0)
"""What holds before there is another: nothing of it lets anybody do anything."""
