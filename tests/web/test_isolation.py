"""What every response says to browsers."""

from __future__ import annotations

import pytest

from tailrace.web.isolation import NOSNIFF, SANDBOX, isolated

OURS = (b"content-security-policy", b"default-src 'none'; script-src 'self'")


def typed(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", value) for value in values]


@pytest.mark.parametrize(
    ("status", "fields", "sandboxed"),
    [
        (200, typed(b"text/plain"), False),
        (502, typed(b"application/problem+json"), False),
        (200, typed(b"text/html"), True),
        (404, typed(b"text/html"), True),
        (200, typed(b"text/plain; x=y, text/html"), True),
        (200, typed(b"text/plain", b"text/html"), True),
        (200, typed(b"text/plain", b"text/plain"), True),
        (200, typed(b""), True),
        (200, [], True),
        (302, [(b"location", b"/")], True),
        (204, [], False),
        (304, [], False),
        # What a cache has as text/plain, without a policy, must not become this.
        (304, typed(b"text/html"), True),
        (200, [*typed(b"text/html; charset=utf-8"), OURS], False),
    ],
)
def test_what_is_not_known_to_be_harmless_has_no_origin(
    status: int, fields: list[tuple[bytes, bytes]], sandboxed: bool
) -> None:
    found = isolated(status, fields)
    assert found == [*fields, NOSNIFF, *([SANDBOX] if sandboxed else [])]


def test_nosniff_is_said_once_and_by_us() -> None:
    fields = [(b"x-content-type-options", b"sniff, please"), *typed(b"text/plain")]
    assert isolated(200, fields) == [*typed(b"text/plain"), NOSNIFF]
