"""Every principal, right and resource, with a token and without: what is answered."""

from __future__ import annotations

from itertools import product

import pytest

from tailrace.access.decide import decide
from tailrace.access.policy import Policy
from tailrace.access.principal import EVERYTHING, NOBODY, NOTHING, Asker, Principal
from tailrace.contracts import OPEN, Namespace, Right
from tailrace.errors import Forbidden, Unauthorized

TOKEN = "s3cret-token"
LINK = Namespace("chat/", read=Right.READ_LINK)
MANAGED = Namespace("files/", read=Right.MANAGE)
RIGHTS = (Right.PUBLIC, Right.READ_LINK, Right.ASK, Right.MANAGE, Right.LOGIN)
# What is answered, right by right in the order of RIGHTS: allowed, 401 or 403.
A, T, F = 200, 401, 403

# Where no token is set, and so none can be shown.
OPEN_TO_ALL = {
    Asker.PROGRAM: (A, A, A, A, A),
    Asker.OWN_PAGE: (A, A, A, A, A),
    Asker.FRIEND: (A, A, A, F, F),
    Asker.ANYONE: (A, A, F, F, F),
    Asker.VISITOR: (A, A, F, F, F),
    Asker.STRANGER: (F, F, F, F, F),
}
# Where a token is set: for those who do not show it, and for those who do.
NOT_SHOWN = {
    Asker.PROGRAM: (A, A, T, T, A),
    Asker.OWN_PAGE: (A, A, T, T, A),
    Asker.FRIEND: (A, A, T, T, F),
    Asker.ANYONE: (A, A, T, T, F),
    Asker.VISITOR: (A, A, F, F, F),
    Asker.STRANGER: (F, F, F, F, F),
}
SHOWN = {
    Asker.PROGRAM: (A, A, A, A, A),
    Asker.OWN_PAGE: (A, A, A, A, A),
    Asker.FRIEND: (A, A, A, A, F),
    Asker.ANYONE: (A, A, A, A, F),
    Asker.VISITOR: (A, A, F, F, F),
    Asker.STRANGER: (F, F, F, F, F),
}
CASES = {
    "no token is set": (None, NOTHING, OPEN_TO_ALL),
    "the token is not shown": (TOKEN, NOTHING, NOT_SHOWN),
    "the token is shown": (TOKEN, EVERYTHING, SHOWN),
}


def answer(policy: Policy, principal: Principal, right: Right, resource: Namespace) -> int:
    decision = decide(policy, principal, right, resource)
    assert decision.allowed is (decision.refusal is None)
    if decision.refusal is None:
        decision.enforce()
        return A
    assert decision.refusal in (Forbidden, Unauthorized)
    assert decision.reason
    assert TOKEN not in decision.reason
    with pytest.raises(decision.refusal, match=decision.reason[:20]):
        decision.enforce()
    return decision.refusal.status


def test_the_tables_have_a_row_for_every_asker_and_a_column_for_every_right() -> None:
    assert set(RIGHTS) == set(Right)
    for _, _, table in CASES.values():
        assert set(table) == set(Asker)


@pytest.mark.parametrize("case", CASES)
def test_each_principal_gets_the_answer_of_the_table_for_each_right_on_each_resource(
    case: str,
) -> None:
    token, granted, table = CASES[case]
    policy = Policy("127.0.0.1", 8080, token=token)
    for asker, right, resource in product(Asker, RIGHTS, (OPEN, LINK, MANAGED)):
        principal = Principal(asker, b"", granted)
        # To read what is managed is to manage, whatever the route calls it.
        read = resource is MANAGED and right is Right.READ_LINK
        expected = table[asker][RIGHTS.index(Right.MANAGE if read else right)]
        said = f"{asker} {right} {resource.prefix!r}"
        assert answer(policy, principal, right, resource) == expected, said


@pytest.mark.parametrize("asker", Asker)
def test_a_credential_opens_the_rights_that_it_carries_and_no_others(asker: Asker) -> None:
    policy = Policy("127.0.0.1", 8080, token=TOKEN)
    some = Principal(asker, b"", frozenset({Right.ASK}))
    asked = answer(policy, some, Right.ASK, OPEN)
    assert asked == SHOWN[asker][RIGHTS.index(Right.ASK)]
    for right, resource in ((Right.MANAGE, OPEN), (Right.READ_LINK, MANAGED)):
        expected = NOT_SHOWN[asker][RIGHTS.index(Right.MANAGE)]
        assert answer(policy, some, right, resource) == expected


@pytest.mark.parametrize("asker", Asker)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_what_another_application_has_judged_is_allowed_and_nothing_else(
    asker: Asker, token: str | None
) -> None:
    links = Policy("", 0, token=token, judged=frozenset({Right.PUBLIC, Right.READ_LINK}))
    table = OPEN_TO_ALL if token is None else NOT_SHOWN
    principal = Principal(asker, b"")
    assert answer(links, principal, Right.READ_LINK, LINK) == A
    assert answer(links, principal, Right.PUBLIC, OPEN) == A
    managed = table[asker][RIGHTS.index(Right.MANAGE)]
    assert answer(links, principal, Right.READ_LINK, MANAGED) == managed
    assert answer(links, principal, Right.MANAGE, LINK) == managed
    everything = Policy("", 0, token=token, judged=frozenset(Right))
    for right, resource in product(Right, (OPEN, LINK, MANAGED)):
        assert answer(everything, principal, right, resource) == A


def test_whoever_is_not_known_yet_may_do_nothing() -> None:
    for token, right, resource in product((None, TOKEN), Right, (OPEN, LINK, MANAGED)):
        policy = Policy("127.0.0.1", 8080, token=token)
        assert answer(policy, NOBODY, right, resource) == F
