"""What nobody had foreseen, in one line."""

from __future__ import annotations

import errno

import pytest

from tailrace.cli.failures import in_one_line


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(errno.EMFILE, "x"), "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "x"), "ulimit -u"),
        (OSError(errno.EROFS, "x", "/data"), "Read-only file system: /data"),
        (OSError("no number"), "OSError: no number"),
        (RuntimeError("two\nlines"), "RuntimeError: two lines"),
    ],
)
def test_each_is_one_line_that_says_what_is_known(error: Exception, expected: str) -> None:
    line = in_one_line(error)
    assert expected in line
    assert "\n" not in line
