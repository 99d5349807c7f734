"""What the operator decided, as a value."""

from __future__ import annotations

import pytest

from tailrace.access.policy import Policy
from tailrace.contracts import Right

TOKEN = "s3cret-token"


@pytest.mark.parametrize(
    ("bound", "token", "insecure", "needs"),
    [
        ("127.0.0.1", None, False, False),
        ("::1", None, False, False),
        ("localhost", None, False, False),
        ("0.0.0.0", None, False, True),
        ("::", None, False, True),
        ("", None, False, True),
        ("192.168.1.7", None, False, True),
        ("tail.example", None, False, True),
        ("0.0.0.0", TOKEN, False, False),
        ("0.0.0.0", None, True, False),
        ("0.0.0.0", "", False, True),
    ],
)
def test_beyond_loopback_a_token_or_an_explicit_wish_is_needed(
    bound: str, token: str | None, insecure: bool, needs: bool
) -> None:
    assert Policy(bound, 8080, (), (), token, insecure).needs_token is needs


def test_the_token_is_in_no_text_of_a_policy() -> None:
    assert TOKEN not in repr(Policy("127.0.0.1", 8080, token=TOKEN))


@pytest.mark.parametrize(
    ("token", "judged", "shared"),
    [(None, (), True), (TOKEN, (), False), (None, (Right.READ_LINK,), False)],
)
def test_shared_caches_keep_only_what_nobody_has_to_log_in_for(
    token: str | None, judged: tuple[Right, ...], shared: bool
) -> None:
    made = Policy("127.0.0.1", 8080, token=token, judged=frozenset(judged))
    assert made.shared_caches is shared
