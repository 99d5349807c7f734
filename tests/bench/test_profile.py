"""Samples of a call chain are sorted by what the thread was busy with."""

from __future__ import annotations

import pytest
from bench.profile import Frame, Sample, group_of, samples, shares, table

from bench import profile

LOOP, STORE = 100, 101
KERNEL = "[kernel.kallsyms]"
PYTHON = "/usr/bin/python3.11"
SITE = "/home/x/tailrace/bench/.cache/venv/lib/python3.11/site-packages"

SCRIPT = """\
  100\x20
\tffffffff8203f225 raw_local_deliver ([kernel.kallsyms])
\tffffffff8200e45b tcp_sendmsg ([kernel.kallsyms])
\t           f838f __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)

  101\x20
\t          17f7b6 [unknown] (/usr/bin/python3.11)
\t          94ec00 [unknown] ([unknown])

"""


def in_kernel(thread: int, *symbols: str) -> Sample:
    return Sample(thread, tuple(Frame(symbol, KERNEL) for symbol in symbols))


def in_file(thread: int, file: str) -> Sample:
    return Sample(thread, (Frame("[unknown]", file), Frame("tcp_sendmsg", KERNEL)))


@pytest.mark.parametrize(
    ("symbols", "group"),
    [
        (("raw_local_deliver", "tcp_sendmsg", "ksys_write"), profile.WRITE),
        (("entry_SYSCALL_64_after_hwframe", "__GI___libc_write"), profile.WRITE),
        (("copyout", "tcp_recvmsg", "ksys_read"), profile.READ),
        (("entry_SYSCALL_64_after_hwframe", "read"), profile.READ),
        (("schedule", "do_epoll_wait"), profile.WAIT),
        (("futex_wake", "__x64_sys_futex"), profile.LOCK),
        (("clear_page", "asm_exc_page_fault", "PyBytes_FromStringAndSize"), profile.KERNEL),
        (("x64_sys_call", "__getpid"), profile.KERNEL),
    ],
)
def test_the_loop_s_time_in_the_kernel(symbols: tuple[str, ...], group: str) -> None:
    assert group_of(in_kernel(LOOP, *symbols), LOOP) == group


@pytest.mark.parametrize(
    ("symbols", "group"),
    [
        (("ext4_write", "__x64_sys_pwrite64"), profile.STORE_DISK),
        (("submit_bio", "__x64_sys_fdatasync"), profile.STORE_SYNC),
        (("schedule", "__x64_sys_futex"), profile.LOCK),
        (("asm_exc_page_fault",), profile.STORE_DISK),
    ],
)
def test_the_store_s_time_in_the_kernel(symbols: tuple[str, ...], group: str) -> None:
    assert group_of(in_kernel(STORE, *symbols), LOOP) == group


@pytest.mark.parametrize(
    ("file", "group", "in_store"),
    [
        (PYTHON, profile.PYTHON, profile.STORE_PYTHON),
        ("/usr/lib/libpython3.11.so.1.0", profile.PYTHON, profile.STORE_PYTHON),
        ("/usr/lib/python3.11/lib-dynload/_asyncio.so", profile.PYTHON, profile.STORE_PYTHON),
        (f"{SITE}/uvloop/loop.cpython-311.so", profile.LOOP, profile.LOOP),
        (f"{SITE}/httptools/parser/parser.cpython-311.so", profile.PARSE, profile.PARSE),
        (f"{SITE}/0123abc__mypyc.cpython-311.so", profile.OURS, profile.OURS),
        (f"{SITE}/tailrace/log/stream.cpython-311.so", profile.OURS, profile.OURS),
        ("/home/x/tailrace/src/tailrace/model.so", profile.OURS, profile.OURS),
        (f"{SITE}/other/thing.cpython-311.so", profile.LIBC, profile.STORE_LIBC),
        ("/usr/lib/libsqlite3.so.0.8.6", profile.STORE_SQLITE, profile.STORE_SQLITE),
        ("/usr/lib/libc.so.6", profile.LIBC, profile.STORE_LIBC),
        ("[vdso]", profile.LIBC, profile.STORE_LIBC),
    ],
)
def test_the_time_outside_the_kernel_is_the_innermost_file_s(
    file: str, group: str, in_store: str
) -> None:
    assert group_of(in_file(LOOP, file), LOOP) == group
    assert group_of(in_file(STORE, file), LOOP) == in_store


def test_perf_s_text_is_read_and_summed() -> None:
    found = samples(SCRIPT)
    assert [len(sample.frames) for sample in found] == [3, 2]
    assert shares(found, LOOP) == {profile.WRITE: 0.5, profile.STORE_PYTHON: 0.5}


def test_a_table_has_a_line_for_each_group_that_was_seen_and_a_sum() -> None:
    lines = table({"SQLite": {profile.WRITE: 6.0, profile.STORE_SYNC: 1.0}, "memory": {}})
    assert f"| {profile.WRITE} | 6.0 | 0.0 |" in lines
    assert lines[-1] == "| **all** | **7.0** | **0.0** |"
    assert len(lines) == 5
