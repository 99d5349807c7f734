"""May this principal do this to that? One pure function, asked wherever the answer counts.

                right that is needed
    asker       PUBLIC  READ_LINK  ASK    MANAGE  LOGIN
    ----------  ------  ---------  -----  ------  -----
    program     yes     yes        token  token   yes
    own page    yes     yes        token  token   yes
    friend      yes     yes        token  shown   no
    anyone      yes     yes        shown  shown   no
    visitor     yes     yes        no     no      no
    stranger    no      no         no     no      no

    yes     allowed
    token   allowed where no token is set; else to who shows it, and 401 to others
    shown   where no token is set 403; else allowed to who shows it, and 401 to others
    no      403, whatever is shown: what these lack is not a password

The resource is a namespace. Reading a stream of it needs what the namespace says of reading:
READ_LINK (a stream's link is its own permission) or MANAGE. ``OPEN`` stands for what is no stream.
Whether clients write to a namespace at all is no question of who asks: `Namespace` says it.

An application that we are part of may have decided before us. What it has judged is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, NamedTuple

from tailrace.access.policy import Policy
from tailrace.access.principal import Asker, Principal
from tailrace.contracts import Namespace, Right
from tailrace.errors import Forbidden, RequestError, Unauthorized


class Decision(NamedTuple):
    """Permission, or what the requester is told instead."""

    refusal: type[RequestError] | None = None
    """An error with its status and code; None: it is allowed."""
    reason: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return self.refusal is None

    def enforce(self) -> None:
        """Return if it is allowed. Raises Forbidden or Unauthorized."""
        if self.refusal is not None:
            raise self.refusal(self.reason)


class _Rule(Enum):
    YES = auto()
    TOKEN = auto()
    SHOWN = auto()
    NO = auto()


FOREIGN: Final = (
    "Pages of other sites may not do this; if they should, add their origin to cors_origins."
)
_ALLOWED: Final = Decision()
_FOREIGN: Final = Decision(Forbidden, FOREIGN)
_NO_TOKEN: Final = Decision(
    Forbidden,
    "Pages of other origins may do this only with a token; none is set (TAILRACE_TOKEN).",
)
_LOGIN: Final = Decision(Forbidden, "Only programs and the page of this server log in and out.")
_UNPROVEN: Final = Decision(
    Unauthorized, "This server wants its token: Authorization: Bearer TOKEN."
)


def _row(*rules: _Rule) -> Mapping[Right, _Rule]:
    columns = (Right.PUBLIC, Right.READ_LINK, Right.ASK, Right.MANAGE, Right.LOGIN)
    return MappingProxyType(dict(zip(columns, rules, strict=True)))


_TABLE: Final[Mapping[Asker, Mapping[Right, _Rule]]] = MappingProxyType(
    {
        Asker.PROGRAM: _row(_Rule.YES, _Rule.YES, _Rule.TOKEN, _Rule.TOKEN, _Rule.YES),
        Asker.OWN_PAGE: _row(_Rule.YES, _Rule.YES, _Rule.TOKEN, _Rule.TOKEN, _Rule.YES),
        Asker.FRIEND: _row(_Rule.YES, _Rule.YES, _Rule.TOKEN, _Rule.SHOWN, _Rule.NO),
        Asker.ANYONE: _row(_Rule.YES, _Rule.YES, _Rule.SHOWN, _Rule.SHOWN, _Rule.NO),
        Asker.VISITOR: _row(_Rule.YES, _Rule.YES, _Rule.NO, _Rule.NO, _Rule.NO),
        Asker.STRANGER: _row(_Rule.NO, _Rule.NO, _Rule.NO, _Rule.NO, _Rule.NO),
    }
)


def decide(policy: Policy, principal: Principal, right: Right, resource: Namespace) -> Decision:
    """Decide whether ``principal`` may use ``right`` on streams of ``resource``.

    ``right`` is what a route names; READ_LINK means what ``resource`` says of reading.
    """
    needed = resource.read if right is Right.READ_LINK else right
    if needed in policy.judged:
        return _ALLOWED
    rule = _TABLE[principal.asker][needed]
    if rule is _Rule.YES:
        return _ALLOWED
    if rule is _Rule.NO:
        return _LOGIN if needed is Right.LOGIN and _is_known(principal) else _FOREIGN
    if not policy.token:
        return _ALLOWED if rule is _Rule.TOKEN else _NO_TOKEN
    return _ALLOWED if needed in principal.granted else _UNPROVEN


def _is_known(principal: Principal) -> bool:
    """Whether ``cors_origins`` names it, so that there is nothing to add to them."""
    return principal.asker in (Asker.FRIEND, Asker.ANYONE)
